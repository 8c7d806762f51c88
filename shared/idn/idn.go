// Package idn writes domain names beyond ASCII as DNS and most mail servers have them. See RFC 5890 and RFC 3492.
package idn

import "strings"

// ToASCII answers a domain as DNS has it: labels beyond ASCII in lower case as Punycode, with their prefix (A-labels). ok is
// false for one that has no such form, which is answered as it is. What is ASCII stays as it is.
//
// The full mapping of UTS 46 would cost the engine 100 KB. What people type is in composed form already (Unicode's NFC), and
// combining marks, by which it could be otherwise, have no form here.
func ToASCII(domain string) (ascii string, ok bool) {
	if IsASCII(domain) {
		return domain, true
	}
	labels := strings.FieldsFunc(strings.ToLower(domain), func(r rune) bool { return r == '.' || r == '\u3002' || r == '\uff0e' })
	for i, l := range labels {
		if IsASCII(l) {
			continue
		}
		p, ok := punycode([]rune(l))
		if !ok || len(p) > 59 {
			return domain, false
		}
		labels[i] = "xn--" + p
	}
	return strings.Join(labels, "."), true
}

// IsASCII says whether there is nothing beyond ASCII in s.
func IsASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// punycode encodes a label, RFC 3492 section 6.3, with the parameters of section 5.
func punycode(label []rune) (string, bool) {
	const base, tMin, tMax, skew, damp = 36, 1, 26, 38, 700
	const digits = "abcdefghijklmnopqrstuvwxyz0123456789"
	var out []byte
	for _, r := range label {
		if r >= 0x300 && r <= 0x36f {
			return "", false
		}
		if r < 128 {
			out = append(out, byte(r))
		}
	}
	basic := len(out)
	if basic > 0 {
		out = append(out, '-')
	}
	n, delta, bias := rune(128), 0, 72
	for done := basic; done < len(label); n++ {
		next := rune(0x10ffff)
		for _, r := range label {
			if r >= n {
				next = min(next, r)
			}
		}
		delta += int(next-n) * (done + 1)
		n = next
		for _, r := range label {
			if r < n {
				delta++
			}
			if r != n {
				continue
			}
			q := delta
			for k := base; ; k += base {
				t := min(max(k-bias, tMin), tMax)
				if q < t {
					break
				}
				out = append(out, digits[t+(q-t)%(base-t)])
				q = (q - t) / (base - t)
			}
			out = append(out, digits[q])
			if done++; done == basic+1 {
				delta /= damp
			} else {
				delta /= 2
			}
			delta += delta / done
			k := 0
			for ; delta > (base-tMin)*tMax/2; k += base {
				delta /= base - tMin
			}
			bias = k + (base-tMin+1)*delta/(delta+skew)
			delta = 0
		}
		delta++
	}
	return string(out), true
}
