# FerretDB 1.24, a document database with MongoDB's protocol over PostgreSQL, from its source, with the machine's Go: it is no
# stand-in, only not built by its authors, and without the one back end that takes a minute to compile.
export GOFLAGS='-mod=mod -buildvcs=false' GOTOOLCHAIN=local CGO_ENABLED=0
source=$(go mod download -json github.com/FerretDB/FerretDB@v1.24.0 | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
cp -r "$source" source && chmod -R u+w source
echo v1.24.0 > source/build/version/version.txt # without which it does not start
cd source && go build -trimpath -tags ferretdb_no_sqlite -ldflags '-s -w' -o ../ferretdb ./cmd/ferretdb
