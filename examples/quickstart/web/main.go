// Command web shows a page that counts its visits in the store.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	health := flag.Bool("health", false, "ask the running server whether it is well, and exit 0 if so")
	store := flag.String("store", "http://store:7000", "where the store is")
	addr := flag.String("listen", ":8080", "where to listen")
	flag.Parse()
	client := &http.Client{Timeout: 2 * time.Second}
	if *health {
		answer, err := client.Get("http://localhost" + *addr + "/health")
		if err != nil {
			log.Fatal(err)
		}
		answer.Body.Close()
		return
	}

	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		count, err := visit(client, *store)
		if err != nil {
			log.Print(err)
			http.Error(w, "the store does not answer", http.StatusBadGateway)
			return
		}
		log.Printf("visit %s", count)
		fmt.Fprintf(w, "Hello from pcompose. You are visitor number %s.\n", count)
	})
	server := &http.Server{Addr: *addr, Handler: mux}

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	go func() {
		<-ctx.Done()
		log.Print("finishing the requests that are here, then bye")
		if err := server.Shutdown(context.Background()); err != nil {
			log.Print(err)
		}
	}()
	log.Printf("counting visits in %s, listening on %s", *store, *addr)
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
}

// visit adds one to the store's counter and returns its new value.
func visit(client *http.Client, store string) (string, error) {
	answer, err := client.Post(store+"/visits", "", nil)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	count, err := io.ReadAll(io.LimitReader(answer.Body, 64))
	if err != nil {
		return "", err
	}
	if answer.StatusCode != http.StatusOK {
		return "", fmt.Errorf("store: %s", answer.Status)
	}
	return strings.TrimSpace(string(count)), nil
}
