package problem

import "strings"

// maxWord is the length in bytes up to which words are compared: no name of a spec is longer, and the work grows with the
// square of the length.
const maxWord = 64

// Nearest returns the candidate that a user most likely meant by word, or "" when none is near: a third of the word's
// letters may differ, and one letter of a short word, by edits or swaps of neighbours; or word is the beginning of one
// candidate alone. Case does not count.
func Nearest(word string, candidates []string) string {
	if len(word) > maxWord {
		return ""
	}
	word = strings.ToLower(word)
	best, limit := "", max(1, len([]rune(word))/3)
	var begun []string
	for _, c := range candidates {
		if d := Distance(word, strings.ToLower(c)); d <= limit {
			best, limit = c, d-1
		}
		if len(word) >= minBeginning && strings.HasPrefix(strings.ToLower(c), word) {
			begun = append(begun, c)
		}
	}
	if best == "" && len(begun) == 1 {
		return begun[0]
	}
	return best
}

// minBeginning is how many bytes of a word tell more than chance would.
const minBeginning = 3

// Distance is the number of edits and swaps of neighbours that make b of a (optimal string alignment).
func Distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	var before []int
	last := make([]int, len(y)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(x); i++ {
		row := make([]int, len(y)+1)
		row[0] = i
		for j := 1; j <= len(y); j++ {
			cost := 1
			if x[i-1] == y[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(y)]
}
