package state

import (
	"errors"
	"os"
	"path/filepath"
)

// WriteFile makes the file hold exactly data, on disk, or leaves it as it was: a temporary file, fsync,
// rename, fsync of the directory (rename(2), fsync(2)). One at a time may write a file: the temporary file has one
// name, so that what a killed command left is written over by the next.
func WriteFile(path string, data []byte, mode os.FileMode) (err error) {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	tmp, err := os.OpenFile(filepath.Join(dir.Name(), "."+filepath.Base(path)+".new"), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(tmp.Name()))
		}
	}()
	_, err = tmp.Write(data)
	err = errors.Join(err, tmp.Chmod(mode))
	if err == nil {
		err = tmp.Sync()
	}
	if err = errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	if err = os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	return dir.Sync()
}
