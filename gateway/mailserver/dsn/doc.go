// Package dsn writes delivery status notifications: the messages by which a
// mail server tells a sender that something was not delivered, takes long, or
// arrived (if the sender asked to know).
//
// A notification has three parts: a text for the person, whose first sentence
// says what happened; the same for programs; and the message it is about, or
// its header. Package mail reads them (Reader.Report).
//
// RFCs: 3464 (the form), 6522 (multipart/report), 3461 (what the sender asked
// for: NOTIFY, RET, ENVID, ORCPT), 3463 (status codes), 6533 (addresses and
// headers beyond ASCII), 3834 (Auto-Submitted).
package dsn
