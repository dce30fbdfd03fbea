// Command store keeps counters in a file: GET /NAME reads one, POST /NAME adds one to it. It is the quickstart's database.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

func main() {
	health := flag.Bool("health", false, "ask the running store whether it is well, and exit 0 if so")
	file := flag.String("file", "/data/counters.json", "where the counters are kept")
	addr := flag.String("listen", ":7000", "where to listen")
	flag.Parse()
	if *health {
		client := http.Client{Timeout: time.Second}
		answer, err := client.Get("http://localhost" + *addr + "/health")
		if err != nil {
			log.Fatal(err)
		}
		answer.Body.Close()
		return
	}
	s := &store{file: *file}
	if err := s.load(); err != nil {
		log.Fatal(err)
	}
	// Every counter is on disk when its request is answered, so there is nothing to finish.
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		log.Printf("%v: bye", <-signals)
		os.Exit(0)
	}()
	log.Printf("%d counters in %s, listening on %s", len(s.counters), *file, *addr)
	log.Fatal(http.ListenAndServe(*addr, s))
}

type store struct {
	file string

	mu       sync.Mutex
	counters map[string]int
}

func (s *store) load() error {
	s.counters = map[string]int{}
	content, err := os.ReadFile(s.file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return json.Unmarshal(content, &s.counters)
}

// save replaces the file in one step, so that whoever stops us finds the old counters or the new ones.
func (s *store) save() error {
	content, err := json.Marshal(s.counters)
	if err != nil {
		return err
	}
	next := filepath.Join(filepath.Dir(s.file), ".next")
	if err := os.WriteFile(next, content, 0o600); err != nil {
		return err
	}
	return os.Rename(next, s.file)
}

func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := r.URL.Path
	if r.Method == http.MethodPost {
		s.counters[name]++
		if err := s.save(); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
	}
	fmt.Fprintln(w, s.counters[name])
}
