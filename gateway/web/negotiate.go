package web

import (
	"strconv"
	"strings"
)

// negotiate picks the first of variants that the Accept-Encoding field values allow with the highest weight, or false
// if they forbid every one. See RFC 9110 section 12.5.3.
func negotiate(accept []string, variants []variant) (variant, bool) {
	weights := make(map[string]int)
	for _, item := range split(accept) {
		coding, q := weighted(item)
		if coding == "x-gzip" { // RFC 9110 section 8.4.1.3: to be taken as gzip
			coding = "gzip"
		}
		if _, twice := weights[coding]; coding != "" && !twice {
			weights[coding] = q
		}
	}
	best, chosen := 0, variant{}
	for _, v := range variants {
		q, named := weights[v.coding]
		if star, ok := weights["*"]; !named && ok {
			q, named = star, true
		}
		if !named && v.coding == identity {
			// Identity is acceptable unless it is excluded; unnamed, it comes after whatever is named.
			if best == 0 {
				return v, true
			}
			continue
		}
		if q > best {
			best, chosen = q, v
		}
	}
	return chosen, best > 0
}

// accepts says whether an Accept field allows the type and subtype at all. An absent field allows everything.
// See RFC 9110 section 12.5.1.
func accepts(accept []string, mainType, subType string) bool {
	items := split(accept)
	if len(items) == 0 {
		return true
	}
	specificity, allowed := -1, false
	for _, item := range items {
		t, q := weighted(item)
		var s int
		switch t {
		case mainType + "/" + subType:
			s = 2
		case mainType + "/*":
			s = 1
		case "*/*":
			s = 0
		default:
			continue
		}
		if s > specificity {
			specificity, allowed = s, q > 0
		}
	}
	return allowed
}

// maxItems bounds how much of a list in a field is read: a browser sends four codings.
const maxItems = 32

func split(fields []string) []string {
	var items []string
	for _, f := range fields {
		for item := range strings.SplitSeq(f, ",") {
			if item = strings.TrimSpace(item); item != "" {
				items = append(items, item)
			}
			if len(items) == maxItems {
				return items
			}
		}
	}
	return items
}

// weighted reads `name;q=0.8` as name and 800; a weight that is malformed is 0, for what was asked is not known.
// See RFC 9110 section 12.4.2.
func weighted(item string) (string, int) {
	name, parameters, _ := strings.Cut(item, ";")
	name = strings.ToLower(strings.TrimSpace(name))
	for p := range strings.SplitSeq(parameters, ";") {
		k, v, ok := strings.Cut(p, "=")
		if !ok || !strings.EqualFold(strings.TrimSpace(k), "q") {
			continue
		}
		q, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
		if err != nil || !(q >= 0 && q <= 1) {
			return name, 0
		}
		return name, int(q * 1000)
	}
	return name, 1000
}
