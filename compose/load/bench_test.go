package load

import (
	"context"
	"os"
	"path/filepath"
	"testing"
)

// BenchmarkLoad loads a project of five services, as every command does.
func BenchmarkLoad(b *testing.B) {
	dir := b.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "compose.yaml"), []byte(fiveServices), 0o644); err != nil {
		b.Fatal(err)
	}
	opts := Options{Cwd: dir, Environment: map[string]string{"PW": "x"}}
	for b.Loop() {
		if _, err := Load(context.Background(), opts); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSchema is what reading the specification's schema takes of it.
func BenchmarkSchema(b *testing.B) {
	for b.Loop() {
		if _, err := specification(); err != nil {
			b.Fatal(err)
		}
	}
}

const fiveServices = `
name: shop
services:
  web:
    image: nginx:1.22
    ports: ["8080:80", "8443:443"]
    depends_on: {api: {condition: service_healthy}}
    volumes: ["./html:/usr/share/nginx/html:ro"]
  api:
    image: node:18
    command: node server.js
    environment: {DB: "postgres://db/${X:-app}", A: b}
    depends_on: [db, cache]
    restart: always
    secrets: [pw]
    healthcheck: {test: curl localhost, interval: 5s}
  db:
    image: postgres:15
    environment: [POSTGRES_PASSWORD_FILE=/run/secrets/pw]
    volumes: ["data:/var/lib/postgresql/data"]
    secrets: [pw]
    mem_limit: 512m
  cache:
    image: redis:7
    deploy: {resources: {limits: {memory: 50M}}}
  worker:
    image: node:18
    command: [node, worker.js]
    depends_on: [cache]
volumes: {data: {}}
secrets: {pw: {environment: PW}}
`
