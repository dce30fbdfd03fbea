package cells

import "slices"

// tries bounds the search for fewer cells; past it the best division found stands. A bound on steps, unlike one on
// time, gives the same plan on every machine. Real projects need none: the first descent has the fewest, since
// whoever declares one port needs as many cells as there are of them.
const tries = 2_000

// colour gives each node a colour, no two that are apart the same, and the fewest colours that the search finds.
// fixed has the colours that are settled, -1 for none; they count from 0 without a gap.
//
// It is the branch and bound of Brélaz (DSATUR): the node with the fewest colours left to it is next.
func colour(apart [][]bool, fixed []int) []int {
	n := len(apart)
	s := search{apart: apart, now: make([]int, n), around: make([][]int, n), shut: make([]int, n), left: tries}
	used := 0
	for i := range n {
		s.now[i], s.around[i] = -1, make([]int, n+1)
		used = max(used, fixed[i]+1)
	}
	for i, c := range fixed {
		if c >= 0 {
			s.set(i, c)
		}
	}
	s.descend(used)
	return s.best
}

type search struct {
	apart [][]bool
	now   []int
	// around counts for each node its neighbours of each colour; shut the colours of which it has any.
	around [][]int
	shut   []int
	// best is the best full colouring so far, nil before the first; count its number of colours.
	best  []int
	count int
	left  int
}

// descend colours what is left, with used colours in use so far.
func (s *search) descend(used int) {
	if s.best != nil && used >= s.count {
		return
	}
	next := s.pick()
	if next < 0 {
		s.best, s.count = slices.Clone(s.now), used
		return
	}
	// One colour more than there are is tried last: all further ones are the same.
	for c := range used + 1 {
		if s.around[next][c] > 0 {
			continue
		}
		if s.left--; s.left < 0 && s.best != nil {
			return
		}
		s.set(next, c)
		s.descend(max(used, c+1))
		s.clear(next)
	}
}

// pick is the uncoloured node with the most colours around it, the first of several; -1 when all have one.
func (s *search) pick() int {
	next := -1
	for i, c := range s.now {
		if c < 0 && (next < 0 || s.shut[i] > s.shut[next]) {
			next = i
		}
	}
	return next
}

func (s *search) set(node, colour int) {
	s.now[node] = colour
	for j, apart := range s.apart[node] {
		if apart {
			if s.around[j][colour]++; s.around[j][colour] == 1 {
				s.shut[j]++
			}
		}
	}
}

func (s *search) clear(node int) {
	colour := s.now[node]
	s.now[node] = -1
	for j, apart := range s.apart[node] {
		if apart {
			if s.around[j][colour]--; s.around[j][colour] == 0 {
				s.shut[j]--
			}
		}
	}
}
