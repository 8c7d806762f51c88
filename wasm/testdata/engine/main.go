// An engine in small: it says hello.
package main

import "syscall/js"

func main() {
	js.Global().Call("postMessage", "hello")
	select {}
}
