package redislimiter

// stocks are the leases of all keys, in an order that does not depend on how maps are
// iterated over: the same inputs give the same outputs.
type stocks struct {
	keys   map[string]*stock
	all    []*stock
	asking fifo[*stock] // those to be sent for, whoever asked first first
}

func newStocks() stocks { return stocks{keys: make(map[string]*stock)} }

func (s *stocks) len() int { return len(s.all) }

// of returns the lease of a key, or nil.
func (s *stocks) of(key string) *stock { return s.keys[key] }

func (s *stocks) add(key string, most int64) *stock {
	one := &stock{key: key, at: len(s.all), most: most}
	s.keys[key] = one
	s.all = append(s.all, one)
	return one
}

// remove forgets one. The last takes its place.
func (s *stocks) remove(one *stock) {
	delete(s.keys, one.key)
	last := len(s.all) - 1
	s.all[one.at] = s.all[last]
	s.all[one.at].at = one.at
	s.all[last] = nil
	s.all = s.all[:last]
	if one.listed {
		one.listed = false
		s.asking.drop(func(o *stock) bool { return o == one })
	}
}

// ask has permits sent for.
func (s *stocks) ask(one *stock) {
	one.asking = true
	if !one.listed {
		one.listed = true
		s.asking.push(one)
	}
}

// askNobody has nothing sent for.
func (s *stocks) askNobody() {
	for s.next() != nil {
	}
}

// next takes the first one that is to be sent for, or returns nil.
func (s *stocks) next() *stock {
	if s.asking.len() == 0 {
		return nil
	}
	one := s.asking.pop()
	one.listed = false
	return one
}
