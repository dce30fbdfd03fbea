package desired

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"

	"github.com/pcompose/pcompose/compose"
	"github.com/pcompose/pcompose/pod"
)

// mounts are volumes: and tmpfs:, in the order of their depth, so that none hides one below it.
func (t *translation) mounts(s types.ServiceConfig) []pod.Mount {
	var out []pod.Mount
	for _, v := range s.Volumes {
		m := pod.Mount{Type: pod.MountType(v.Type), Source: v.Source, Target: v.Target, ReadOnly: v.ReadOnly}
		switch v.Type {
		case types.VolumeTypeBind:
			if b := v.Bind; b != nil {
				m.CreateHostPath, m.Propagation, m.Recursive, m.SELinux = bool(b.CreateHostPath), b.Propagation, b.Recursive, b.SELinux
			} else {
				// compose-go fills the long form's default only where bind: is written.
				m.CreateHostPath = true
			}
		case types.VolumeTypeVolume:
			if v.Bind != nil { // z and Z of the short form
				m.SELinux = v.Bind.SELinux
			}
			if v.Volume != nil {
				m.NoCopy, m.Subpath = v.Volume.NoCopy, v.Volume.Subpath
			}
			if v.Source != "" {
				m.Source = t.volume(v.Source)
			}
		case types.VolumeTypeTmpfs:
			m.Source = ""
			if v.Tmpfs != nil {
				m.Size, m.Mode = int64(v.Tmpfs.Size), v.Tmpfs.Mode
			}
		case types.VolumeTypeImage:
			// Its files are the image's: none of them is the container's to change.
			m.ReadOnly = true
			if v.Image != nil {
				m.Subpath = v.Image.SubPath
			}
		default:
			// Refused by compose/load.
			continue
		}
		out = append(out, m)
	}
	for _, text := range s.Tmpfs {
		out = append(out, t.tmpfs(s, text))
	}
	slices.SortStableFunc(out, func(a, b pod.Mount) int {
		return cmp.Or(cmp.Compare(strings.Count(a.Target, "/"), strings.Count(b.Target, "/")), cmp.Compare(a.Target, b.Target))
	})
	return out
}

// volumesFrom are the containers of volumes_from: SERVICE[:ro] is its first replica.
func volumesFrom(t *translation, s types.ServiceConfig) []pod.VolumesFrom {
	var out []pod.VolumesFrom
	for _, text := range s.VolumesFrom {
		name, isContainer := strings.CutPrefix(text, types.ContainerPrefix)
		name, mode, _ := strings.Cut(name, ":")
		if !isContainer {
			name = containerName(t, t.project.Model.Services[name], 1)
		}
		out = append(out, pod.VolumesFrom{Container: name, ReadOnly: mode == "ro"})
	}
	return out
}

// tmpfs reads /target:size=64m,mode=1777,ro.
func (t *translation) tmpfs(s types.ServiceConfig, text string) pod.Mount {
	target, options, _ := strings.Cut(text, ":")
	m := pod.Mount{Type: pod.MountTmpfs, Target: path.Clean(target)}
	for _, o := range strings.FieldsFunc(options, func(r rune) bool { return r == ',' }) {
		name, value, _ := strings.Cut(o, "=")
		switch name {
		case "ro":
			m.ReadOnly = true
		case "size":
			var size types.UnitBytes
			if err := size.DecodeMapstructure(value); err != nil {
				t.problem(s, "tmpfs."+target, "", "%q is no size", value)
			}
			m.Size = int64(size)
		case "mode":
			mode, err := strconv.ParseUint(value, 8, 12)
			if err != nil {
				t.problem(s, "tmpfs."+target, "write it in octal, as in mode=1777", "%q is no mode", value)
			}
			m.Mode = uint32(mode)
		case "rw", "defaults": // they are so anyway
		case "nosuid", "noexec", "nodev": // so are these, unless an earlier option says otherwise
			m.Options = slices.DeleteFunc(m.Options, func(o string) bool { return "no"+o == name })
		default: // checked when the file was loaded
			m.Options = append(m.Options, o)
		}
	}
	return m
}

// volume is the name on the machine of the volume a key stands for, which becomes one of the pod's.
func (t *translation) volume(key string) string {
	v := t.project.Model.Volumes[key]
	name := cmp.Or(v.Name, t.project.Name+"_"+key)
	out := pod.Volume{Name: name, External: bool(v.External), Driver: v.Driver, DriverOpts: maps.Clone(v.DriverOpts)}
	if !out.External {
		out.Labels = map[string]string{}
		maps.Copy(out.Labels, v.Labels)
		maps.Copy(out.Labels, map[string]string{
			labelProject: t.project.Name, labelVolume: key, labelVersion: version, pod.LabelConfigHash: volumeHash(v),
		})
	}
	t.volumes[key] = out
	return name
}

// volumeHash is docker compose's hash of a volume's definition.
func volumeHash(v types.VolumeConfig) string {
	v.Driver = cmp.Or(v.Driver, "local")
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("a volume of a Compose file does not marshal: %v", err)) // only plain fields: it always does
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// defaultFileMode is what secrets and configs have where the file says nothing.
const defaultFileMode = 0o444

// files are secrets and configs.
func (t *translation) files(s types.ServiceConfig) []pod.File {
	var out []pod.File
	for _, r := range s.Secrets {
		o := types.FileObjectConfig(t.project.Model.Secrets[r.Source])
		// compose-go puts the value of the secret's variable here; it must not get into a spec.
		o.Content = ""
		out = append(out, t.file(s, types.FileReferenceConfig(r), o, "/run/secrets/"))
		out[len(out)-1].Secret = true
		out[len(out)-1].Digest = t.project.Digests[compose.SecretKey(r.Source)]
	}
	for _, r := range s.Configs {
		o := types.FileObjectConfig(t.project.Model.Configs[r.Source])
		if o.Environment != "" {
			o.Content = ""
		}
		out = append(out, t.file(s, types.FileReferenceConfig(r), o, "/"))
		out[len(out)-1].Digest = t.project.Digests[compose.ConfigKey(r.Source)]
	}
	return out
}

// file joins a service's reference with what it refers to; dir is where a relative target is put.
func (t *translation) file(s types.ServiceConfig, r types.FileReferenceConfig, o types.FileObjectConfig, dir string) pod.File {
	f := pod.File{Source: r.Source, Target: cmp.Or(r.Target, r.Source), HostPath: o.File, EnvVar: o.Environment, Content: o.Content, Mode: defaultFileMode}
	if o.External {
		f.External = cmp.Or(o.Name, r.Source)
	}
	if !path.IsAbs(f.Target) {
		f.Target = dir + f.Target
	}
	if r.Mode != nil {
		f.Mode = uint32(*r.Mode)
	}
	f.UID, f.GID = t.id(s, r.Source, r.UID), t.id(s, r.Source, r.GID)
	return f
}

// id reads a uid or gid: names mean nothing, since the container's passwd is not read for a file of a tmpfs.
func (t *translation) id(s types.ServiceConfig, source, text string) int {
	if text == "" {
		return 0
	}
	id, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		key := "secrets." + source
		if !t.project.Places.Has("services." + s.Name + "." + key) {
			key = "configs." + source
		}
		t.problem(s, key, "write its number", "%q is no user or group number", text)
	}
	return int(id)
}
