// Command todo keeps a list in PostgreSQL: GET / prints it, POST / adds a line.
package main

import (
	"database/sql"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strings"

	_ "github.com/lib/pq"
)

func main() {
	db, err := sql.Open("postgres", os.Getenv("DATABASE_URL"))
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) { list(w, r, db) })
	http.HandleFunc("POST /", func(w http.ResponseWriter, r *http.Request) { add(w, r, db) })
	log.Fatal(http.ListenAndServe(":8080", nil))
}

func list(w http.ResponseWriter, r *http.Request, db *sql.DB) {
	rows, err := db.QueryContext(r.Context(), "SELECT id, text FROM todo ORDER BY id")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer rows.Close()
	for rows.Next() {
		var id int
		var text string
		if err := rows.Scan(&id, &text); err != nil {
			log.Print(err)
			return
		}
		fmt.Fprintf(w, "%d. %s\n", id, text)
	}
}

func add(w http.ResponseWriter, r *http.Request, db *sql.DB) {
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 4096))
	if err == nil {
		_, err = db.ExecContext(r.Context(), "INSERT INTO todo (text) VALUES ($1)", strings.TrimSpace(string(text)))
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.WriteHeader(http.StatusCreated)
}
