package image

import (
	"context"
	"errors"
	"fmt"
	"io"

	"go.podman.io/common/pkg/auth"
	"go.podman.io/image/v5/types"
)

// LoginOptions say who logs in. A password that is "" is asked for on the terminal, a user too.
type LoginOptions struct {
	User, Password string
	// File is the auth.json to write; "" is that of REGISTRY_AUTH_FILE, else the default of containers-auth.json(5).
	File string
	// Insecure allows a registry without TLS, or with a certificate that nobody vouches for.
	Insecure bool
	In       io.Reader
	Out      io.Writer
}

// Login holds a user's name and password against a registry, "" for the first that registries.conf searches, and keeps them in auth.json.
// Nothing is written where the registry does not accept them.
func Login(ctx context.Context, registry string, o LoginOptions) error {
	sys := types.SystemContext{DockerInsecureSkipTLSVerify: types.NewOptionalBool(o.Insecure)}
	if !o.Insecure {
		sys.DockerInsecureSkipTLSVerify = types.OptionalBoolUndefined // as registries.conf says
	}
	options := auth.LoginOptions{AuthFile: o.File, Username: o.User, Password: o.Password, Stdin: o.In, Stdout: o.Out, AcceptRepositories: true, AcceptUnspecifiedRegistry: true}
	err := auth.Login(ctx, &sys, &options, named(registry))
	var refused auth.ErrNewCredentialsInvalid
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.As(err, &refused):
		return fmt.Errorf("cannot log in to %q: the registry does not accept the name and password", registry)
	}
	return fmt.Errorf("cannot log in to %q: %s", registry, cause(err.Error()))
}

// Logout forgets what Login kept: of one registry, or of all.
func Logout(registry, file string, all bool, out io.Writer) error {
	options := auth.LogoutOptions{AuthFile: file, All: all, Stdout: out, AcceptRepositories: true, AcceptUnspecifiedRegistry: true}
	if err := auth.Logout(&types.SystemContext{}, &options, named(registry)); err != nil {
		return fmt.Errorf("cannot log out of %q: %w", registry, err)
	}
	return nil
}

// named are the arguments of a command that a registry was named to, or none.
func named(registry string) []string {
	if registry == "" {
		return nil
	}
	return []string{registry}
}
