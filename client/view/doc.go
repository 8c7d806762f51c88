// Package view is the page's state and everything a person can do with it, in plain Go: no vugu, no syscall/js, so that
// it is tested natively against the real engine.
//
// App is the whole of it. It asks the engine through an api.Service, the browser through a Platform, and is drawn by
// client/ui. What a person does is a method (an intent): it changes the state at once, so that the next frame shows its
// effect, then asks the engine, and if the engine refuses takes the change back and says why in words (see Words).
//
// One lock guards it all, the Scheduler's. DOM handlers already hold it; everything else calls methods and reads fields
// inside Scheduler.Update. Calls of the engine run in goroutines of their own and come back through Update.
package view
