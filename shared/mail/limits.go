package mail

// Bounds of reading. Mail beyond them is shown as far as they go, with a Note; none of them is met by mail that people
// write.
const (
	// maxHeader bounds one header block, in octets. Servers take about 1 MiB at most; a block beyond it ends there.
	maxHeader = 1 << 20
	// maxFields bounds the fields of one header block. A long way with many Received and ARC fields has a hundred.
	maxFields = 5_000
	// maxDepth bounds how deep multiparts lie in each other. People's forwards have five levels, test mails a hundred.
	maxDepth = 200
	// maxWork bounds how often, on average, an octet is looked at while parts are told apart. It is once, and again for
	// each multipart around it whose boundary never comes.
	maxWork = 6
	// maxToken bounds a quoted string, a comment and an encoded word, in octets. One that is longer is read as if it had
	// no end: nobody's name is that long, and each of 100,000 openings would be followed through the whole field.
	maxToken = 2_000
	// maxParts bounds the parts of a message, all levels together.
	maxParts = 1_000
	// maxAddresses bounds the addresses of one field. Lists with more are made by list servers, not by people.
	maxAddresses = 2_000
	// maxLine bounds a subject, a name and an address, in octets of UTF-8, for they are kept in memory and drawn in lists.
	// RFC 5322 section 2.1.1 has lines of 998; an address that is cut is longer than any that could be written to.
	maxLine = 2_000
	// maxList bounds the octets of the addresses of one field, with their names: 2,000 of 64 each.
	maxList = 128 << 10
	// maxReferences bounds how many ancestors are kept: the first one and the last ones, which is what threading needs.
	// maxReferenceList bounds their octets: a hundred of 160 each, where 80 are common.
	maxReferences    = 100
	maxReferenceList = 16 << 10
	// maxParams bounds the parameters of one Content-Type or Content-Disposition.
	maxParams = 200
	// maxName bounds a file name, in octets of UTF-8: what file systems take.
	maxName = 200
	// briefOctets is how much of a text a summary decodes at first: the few words that it wants are in it, mostly.
	// styledOctets is what it decodes where they are not: the style sheets in front of most newsletters, and some text.
	briefOctets  = 1 << 10
	styledOctets = 16 << 10
	// snippetRunes is how many characters a snippet has at most.
	snippetRunes = 140
)
