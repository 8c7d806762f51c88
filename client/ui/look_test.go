package ui

import (
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

const public = "../../public/"

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// sheet is the page's style sheet as a browser gets it.
func sheet(t *testing.T) string {
	t.Helper()
	return regexp.MustCompile(`{{include "([^"]+)"}}`).ReplaceAllStringFunc(read(t, public+"app.css"), func(s string) string {
		return read(t, public+strings.Split(s, `"`)[1])
	})
}

// tokens are the custom properties of :root that are colours, for one scheme: 0 light, 1 dark.
func tokens(t *testing.T, scheme int) map[string][3]float64 {
	t.Helper()
	css := sheet(t)
	root := css[strings.Index(css, ":root {"):]
	root = root[:strings.Index(root, "\n}")]
	colour := regexp.MustCompile(`oklch\(([\d.]+) ([\d.]+) ([\d.]+)\)|oklch\(1 0 0\)`)
	out := map[string][3]float64{}
	for _, m := range regexp.MustCompile(`--([\w-]+): (light-dark\(oklch\([^)]*\), oklch\([^)]*\)\)|oklch\([^)]*\));`).FindAllStringSubmatch(root, -1) {
		found := colour.FindAllStringSubmatch(m[2], -1)
		if len(found) == 0 || strings.Contains(m[2], "/") {
			continue
		}
		var lch [3]float64
		for i, s := range found[min(scheme, len(found)-1)][1:] {
			lch[i], _ = strconv.ParseFloat(s, 64)
		}
		out[m[1]] = lch
	}
	return out
}

// linear is an OKLCH colour in linear sRGB (Ottosson, "A perceptual color space for image processing").
func linear(c [3]float64) [3]float64 {
	a, b := c[1]*math.Cos(c[2]*math.Pi/180), c[1]*math.Sin(c[2]*math.Pi/180)
	l, m, s := c[0]+0.3963377774*a+0.2158037573*b, c[0]-0.1055613458*a-0.0638541728*b, c[0]-0.0894841775*a-1.2914855480*b
	l, m, s = l*l*l, m*m*m, s*s*s
	return [3]float64{
		min(max(4.0767416621*l-3.3077115913*m+0.2309699292*s, 0), 1),
		min(max(-1.2684380046*l+2.6097574011*m-0.3413193965*s, 0), 1),
		min(max(-0.0041960863*l-0.7034186147*m+1.7076147010*s, 0), 1),
	}
}

// contrast is WCAG 2's, of a colour on ground that may be tinted with another.
func contrast(fore, ground, tint [3]float64, share float64) float64 {
	light := func(c [3]float64) float64 { return 0.2126*c[0] + 0.7152*c[1] + 0.0722*c[2] }
	g, w := linear(ground), linear(tint)
	for i := range g { // browsers composite in sRGB itself, gamma and all
		g[i] = degamma(gamma(g[i])*(1-share) + gamma(w[i])*share)
	}
	a, b := light(linear(fore)), light(g)
	return (max(a, b) + 0.05) / (min(a, b) + 0.05)
}

func gamma(x float64) float64 {
	if x <= 0.0031308 {
		return 12.92 * x
	}
	return 1.055*math.Pow(x, 1/2.4) - 0.055
}

func degamma(x float64) float64 {
	if x <= 0.04045 {
		return x / 12.92
	}
	return math.Pow((x+0.055)/1.055, 2.4)
}

func TestContrast(t *testing.T) {
	for scheme, label := range []string{"light", "dark"} {
		c := tokens(t, scheme)
		check := func(fore, ground, tint string, share, least float64) {
			for _, n := range []string{fore, ground, tint} {
				if _, ok := c[n]; !ok {
					t.Fatalf("no colour --%s", n)
				}
			}
			if r := contrast(c[fore], c[ground], c[tint], share); r < least {
				t.Errorf("%s: --%s on --%s with %.0f %% --%s: %.2f, want %.1f", label, fore, ground, share*100, tint, r, least)
			}
		}
		for _, ground := range []string{"canvas", "sheet", "raised", "sunken"} {
			for _, fore := range []string{"text", "quiet", "faint"} {
				check(fore, ground, ground, 0, 4.5)
			}
			check("edge", ground, ground, 0, 2.9) // the border of a control; 3 on what it stands on
		}
		check("edge", "sheet", "sheet", 0, 3)
		check("edge", "raised", "raised", 0, 3)
		for _, fore := range []string{"accent", "accent-deep", "danger", "waits"} {
			check(fore, "sheet", "sheet", 0, 4.5)
			check(fore, "canvas", "canvas", 0, 4.5)
			check(fore, "raised", "raised", 0, 4.5) // menus and sheets
		}
		for _, fore := range []string{"text", "quiet", "accent-deep"} {
			check(fore, "sheet", "accent", 0.12, 4.5) // the row that is selected
		}
		check("danger", "sheet", "danger", 0.1, 4.5)
		check("waits", "sheet", "waits", 0.1, 4.5)
		check("on-accent", "accent", "accent", 0, 4.5)
		check("on-accent", "accent-deep", "accent-deep", 0, 4.5)
		check("on-toast", "toast", "toast", 0, 4.5)
		check("toast-accent", "toast", "toast", 0, 4.5)
	}
}

// Colours are named once, on :root.
func TestColoursAreTokens(t *testing.T) {
	css := sheet(t)
	rules := css[strings.Index(css, "\n}"):]
	if m := regexp.MustCompile(`oklch\(|rgba?\(|hsl|#[0-9a-f]{3,8}\b`).FindString(rules); m != "" {
		t.Errorf("%q outside :root", m)
	}
	defined := map[string]bool{}
	for _, m := range regexp.MustCompile(`(--[\w-]+):`).FindAllStringSubmatch(css, -1) {
		defined[m[1]] = true
	}
	for _, m := range regexp.MustCompile(`var\((--[\w-]+)`).FindAllStringSubmatch(css, -1) {
		if !defined[m[1]] {
			t.Errorf("%s is used and not defined", m[1])
		}
	}
}

// Every picture that is asked for is in the sprite, and every one in the sprite is used.
func TestIcons(t *testing.T) {
	drawn, used := map[string]bool{}, map[string]bool{}
	for _, m := range regexp.MustCompile(`<symbol id="([\w-]+)"`).FindAllStringSubmatch(read(t, public+"sprite/icons.svg"), -1) {
		drawn[m[1]] = true
	}
	files, _ := filepath.Glob("*.vugu")
	code, _ := filepath.Glob("*.go")
	words, _ := filepath.Glob("../view/*.go")
	var all strings.Builder
	for _, f := range append(append(files, code...), words...) {
		if !strings.HasSuffix(f, "_test.go") && !strings.HasSuffix(f, "_gen.go") {
			all.WriteString(read(t, f))
		}
	}
	for _, m := range regexp.MustCompile(`icons\.svg#([\w-]+)`).FindAllStringSubmatch(all.String(), -1) {
		used[m[1]] = true
		if !drawn[m[1]] {
			t.Errorf("no picture %s", m[1])
		}
	}
	for name := range drawn {
		if !used[name] && !strings.Contains(all.String(), `"`+name+`"`) {
			t.Errorf("the picture %s is not used", name)
		}
	}
}
