package cli

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/pcompose/pcompose/engine"
	"github.com/pcompose/pcompose/engine/image"
)

type imageCopyOptions struct {
	args                     []string
	all, preserve, quiet     bool
	platform, format         string
	fromCreds, toCreds       string
	fromVerified, toVerified bool
	digestFile               string
}

func newImageCopy(env *Env, run action[imageCopyOptions]) *cobra.Command {
	opt := &imageCopyOptions{}
	cmd := command(env, "copy [OPTIONS] SOURCE DESTINATION", "Copy an image between registries, files and the store", &opt.args, bind(env, opt, run))
	f := cmd.Flags()
	f.BoolVarP(&opt.all, "all", "a", false, "Copy the images for all platforms, and their index")
	f.StringVar(&opt.platform, "platform", "", "Platform to copy, os/architecture[/variant] (default: this machine's)")
	f.BoolVar(&opt.preserve, "preserve-digests", false, "Fail where the copy would have another digest")
	f.StringVar(&opt.format, "format", "", "Kind of the manifest: oci, v2s2 (default: as it is)")
	f.StringVar(&opt.fromCreds, "src-creds", "", "USER:PASSWORD for the source's registry (default: that of login)")
	f.StringVar(&opt.toCreds, "dest-creds", "", "USER:PASSWORD for the destination's registry (default: that of login)")
	f.BoolVar(&opt.fromVerified, "src-tls-verify", true, "Ask the source's registry for TLS and a certificate")
	f.BoolVar(&opt.toVerified, "dest-tls-verify", true, "Ask the destination's registry for TLS and a certificate")
	f.StringVar(&opt.digestFile, "digestfile", "", "File to write the copy's digest to")
	f.BoolVarP(&opt.quiet, "quiet", "q", false, "Show no progress")
	cmd.Args = takes("SOURCE", "DESTINATION")
	return cmd
}

func runImageCopy(ctx context.Context, env *Env, opt *imageCopyOptions) error {
	if err := oneOf("--format", opt.format, "oci", "v2s2"); err != nil {
		return err
	}
	if env.global.dryRun {
		return env.would([]intent{{"image/" + opt.args[0], "copy to " + opt.args[1], "asked to copy"}})
	}
	return env.withEngine(func(e *engine.Engine) error {
		o := image.TransferOptions{
			From: image.End{Name: opt.args[0], Credentials: opt.fromCreds, Insecure: !opt.fromVerified},
			To:   image.End{Name: opt.args[1], Credentials: opt.toCreds, Insecure: !opt.toVerified},
			All:  opt.all, Platform: opt.platform, PreserveDigests: opt.preserve, Format: opt.format, Report: env.streams.Err, Store: e.Images,
		}
		if opt.quiet {
			o.Report = nil
		}
		id, err := image.NewRegistries().Transfer(ctx, o)
		if err != nil || opt.digestFile == "" {
			return err
		}
		if err := os.WriteFile(opt.digestFile, []byte(id), 0o644); err != nil {
			return fmt.Errorf("cannot write the digest: %w", err)
		}
		return nil
	})
}
