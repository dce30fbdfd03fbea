package doctor

import (
	"fmt"
	"strings"
)

// idsWanted is how many IDs images count on: those of the nobody of 16 bits are the highest.
const idsWanted = 65536

func userNamespaces(m Machine) []Finding {
	if m.User.root() {
		return nil
	}
	f := finding("user namespaces", "may be made", "in one of their own a user may mount, and own addresses and IDs")
	if m.Userns.Error == "" {
		return f.alone()
	}
	f.Found = m.Userns.Error
	const why = "a user's pods live in one, and this machine does not let users make any"
	switch {
	case m.Userns.Clone == "0":
		return f.but(Missing, why, m.sysctl("kernel.unprivileged_userns_clone", "1"))
	case m.Userns.Max == 0:
		return f.but(Missing, why, m.sysctl("user.max_user_namespaces", "28633"))
	case m.Userns.AppArmor == "1":
		profile := `abi <abi/4.0>,\ninclude <tunables/global>\nprofile pcompose ` + m.Program + ` flags=(unconfined) {\n  userns,\n}\n`
		return f.but(Missing, "AppArmor lets only programs with a profile make user namespaces that are of use",
			"printf '"+profile+"' | sudo tee /etc/apparmor.d/pcompose && sudo apparmor_parser -r /etc/apparmor.d/pcompose")
	}
	return f.but(Missing, why, "# a container or a security policy forbids it: allow unshare(2) with CLONE_NEWUSER there")
}

func ids(m Machine) []Finding {
	if m.User.root() {
		return nil
	}
	var list []Finding
	for _, k := range []struct {
		check, flag string
		have        SubIDs
	}{{"subuid", "--add-subuids", m.SubUIDs}, {"subgid", "--add-subgids", m.SubGIDs}} {
		f := finding(k.check, fmt.Sprintf("%d IDs in %s", k.have.Count, k.have.File), "containers' users other than root are these")
		if k.have.Count < idsWanted {
			first := k.have.Free
			f = f.but(Warning, "images have users of their own: without IDs for them all files are root's, and containers run as one user only",
				m.sudo(fmt.Sprintf("usermod %s %d-%d %s", k.flag, first, first+idsWanted-1, m.User.Name)))[0]
			if k.have.Count == 0 {
				f.Found = fmt.Sprintf("no line of %s in %s", m.User.Name, k.have.File)
			}
		}
		list = append(list, f)
	}
	return list
}

func idPrograms(m Machine) []Finding {
	if m.User.root() {
		return nil
	}
	var list []Finding
	for _, k := range []struct {
		name string
		have IDProgram
	}{{"newuidmap", m.NewUIDMap}, {"newgidmap", m.NewGIDMap}} {
		const why = "without it containers run as one user only, and all files of an image are root's"
		f := finding(k.name, k.have.Path, "gives a user's namespace the IDs of /etc/subuid and /etc/subgid")
		switch {
		case k.have.Path == "":
			f.Found = "not installed"
			f = f.but(Warning, why, m.install("uidmap"))[0]
		case !k.have.Privileged:
			f.Found += ", without the right to do so"
			f = f.but(Warning, why, m.sudo("chmod u+s "+k.have.Path))[0]
		}
		list = append(list, f)
	}
	return list
}

func runtimeDirectory(m Machine) []Finding {
	if m.User.root() {
		return nil
	}
	f := finding("runtime directory", m.RunDir.Path, "sockets and what does not outlive a reboot are kept there")
	if m.RunDir.Error == "" {
		return f.alone()
	}
	f.Found = m.RunDir.Error
	dir := fmt.Sprintf("/run/user/%d", m.User.UID)
	return f.but(Warning, "su and sudo make none: what runs is kept in a temporary folder instead",
		m.sudo(fmt.Sprintf("install -d -m 700 -o %d %s", m.User.UID, dir))+" && export XDG_RUNTIME_DIR="+dir)
}

func lingering(m Machine) []Finding {
	if m.User.root() || !m.Systemd {
		return nil
	}
	f := finding("lingering", "on", "pods outlive the log-out of "+m.User.Name)
	if !m.RunDir.Lingers {
		f.Found = "off"
		return f.but(Warning, "when "+m.User.Name+" logs out for good, systemd removes their runtime directory, and ends what runs", m.sudo("loginctl enable-linger "+m.User.Name))
	}
	return f.alone()
}

func overlay(m Machine) []Finding {
	s := m.Storage
	f := finding("overlay", "native, on "+s.FileSystem, "containers share the layers of their images")
	switch {
	case s.MountProgram != "":
		f.Found = "by " + s.MountProgram
		return f.alone()
	case s.Driver != "overlay":
		f.Found = "not used"
		return f.alone()
	case s.OverlayError == "":
		return f.alone()
	}
	f.Found = s.OverlayError
	if !s.OverlayKnown {
		return f.but(Missing, "root filesystems of containers are overlay mounts, which the kernel does not know", m.write("overlay", "/etc/modules-load.d/overlay.conf")+" && "+m.sudo("modprobe overlay"))
	}
	if !m.User.root() && m.Userns.Error != "" {
		return f.but(Missing, "a user mounts in a user namespace: see above")
	}
	return f.but(Missing, "root filesystems of containers are overlay mounts, which "+s.FileSystem+" does not carry",
		"# set graphroot in "+m.storageConf()+" to a folder on ext4, btrfs, or xfs with ftype=1")
}

// storageConf is the file that says where a user's images are (containers-storage.conf(5)).
func (m Machine) storageConf() string {
	if m.User.root() {
		return "/etc/containers/storage.conf"
	}
	return "~/.config/containers/storage.conf"
}

func storage(m Machine) []Finding {
	s := m.Storage
	f := finding("storage", fmt.Sprintf("%s in %s", s.Driver, s.GraphRoot), "images are kept there, shared with podman and buildah")
	switch {
	case s.Error != "":
		f.Found = s.Error
		return f.but(Missing, "it says where images are kept", "# correct "+m.storageConf())
	case s.Driver == "vfs":
		return f.but(Warning, "vfs copies all layers of an image for each container", `# set driver = "overlay" in `+m.storageConf()+"; what is stored has to be pulled again")
	}
	return f.alone()
}

// lowPorts is about those that programs without privileges may not bind. Root may.
func lowPorts(m Machine) []Finding {
	if m.User.root() {
		return nil
	}
	f := finding("low ports", fmt.Sprintf("published from %d", m.LowestPort), "ports: \"80:80\" is a port of the host")
	if m.LowestPort > 80 {
		return f.but(Warning, fmt.Sprintf("host ports below %d cannot be published by %s", m.LowestPort, m.User.Name), m.sysctl("net.ipv4.ip_unprivileged_port_start", "80"))
	}
	if m.LowestPort <= 1 {
		f.Found = "all may be published"
	}
	return f.alone()
}

func registries(m Machine) []Finding {
	r := m.Registries
	f := finding("registries.conf", r.File, "says where images are pulled from")
	switch {
	case r.Error != "":
		f.Found = r.Error
		return f.but(Missing, "images are pulled by it", "# correct it: containers-registries.conf(5)")
	case r.File == "":
		f.Found = "none: short names are Docker Hub's"
	case len(r.Search) == 0:
		f.Found += ", without unqualified-search-registries"
		const dir, line = "/etc/containers/registries.conf.d", `unqualified-search-registries = ["docker.io"]`
		return f.but(Warning, "short names, as nginx, could come from any registry, and are refused", m.sudo("mkdir -p "+dir)+" && "+m.write(line, dir+"/50-docker-hub.conf"))
	default:
		f.Found += ", short names from " + strings.Join(r.Search, ", ")
	}
	if len(r.Mirrors) > 0 {
		f.Found += "; mirrors: " + strings.Join(r.Mirrors, ", ")
	}
	return f.alone()
}

func policy(m Machine) []Finding {
	p := m.Policy
	f := finding("policy.json", p.File+", else "+p.Default, "says whose signatures an image needs")
	switch {
	case p.Error != "":
		f.Found = p.Error
		return f.but(Missing, "no image is pulled without it", "# correct it: containers-policy.json(5)")
	case p.File == "":
		f.Found = "none: signatures are not asked for"
	case p.Default == "reject":
		f.Why = "images that no rule of it names are refused"
	}
	return f.alone()
}

func logins(m Machine) []Finding {
	l := m.Logins
	f := finding("logins", "none", "private images and higher limits of Docker Hub need one")
	switch {
	case l.Error != "":
		f.Found = l.Error
		return f.but(Warning, "private images cannot be pulled", "# correct it, or log in again: containers-auth.json(5)")
	case len(l.Readable) > 0:
		files := strings.Join(l.Readable, " ")
		f.Found = files + " can be read by others"
		return f.but(Warning, "passwords are kept there", "chmod 600 "+files)
	case len(l.Registries) > 0:
		f.Found = strings.Join(l.Registries, ", ") + " in " + strings.Join(l.Files, ", ")
	}
	return f.alone()
}
