// Package reach decides whom a gateway's streams may reach, looks names up, and connects.
//
// A connection takes three steps, and none can be left out or done by somebody else: the Policy says whether the host and
// the port may be asked for; every address that the name leads to is checked; and a Target, which only that check makes, is
// dialled. So there is no second look-up between check and dial in which a name server could change its answer, and no
// way for a redirect of the web servers that Discover asks to lead where a client could not.
package reach
