package volume

import (
	"fmt"
	"net"
	"slices"
	"strings"
)

// withAddress gives the options of a network file system as mount(2) takes them: the kernel does not resolve names, so
// addr= is made an address, and is added from the device (HOST:/PATH, //HOST/SHARE) where it is missing (nfs(5), mount.cifs(8)).
func withAddress(typ, device, options string) (string, error) {
	host := ""
	switch typ {
	case "nfs", "nfs4":
		host, _, _ = strings.Cut(device, ":/")
	case "cifs", "smb3":
		host, _, _ = strings.Cut(strings.TrimPrefix(device, "//"), "/")
	default:
		return options, nil
	}
	list := slices.DeleteFunc(strings.Split(options, ","), func(o string) bool { return o == "" })
	at := slices.IndexFunc(list, func(o string) bool { return strings.HasPrefix(o, "addr=") })
	if at >= 0 {
		host = strings.TrimPrefix(list[at], "addr=")
	}
	host = strings.Trim(host, "[]")
	if host == "" {
		return "", fmt.Errorf("device %q of type %q needs addr= among its options", device, typ)
	}
	found, err := net.ResolveIPAddr("ip", host)
	if err != nil {
		return "", fmt.Errorf("cannot resolve %q: %w", host, err)
	}
	if at >= 0 {
		list[at] = "addr=" + found.String()
	} else {
		list = append(list, "addr="+found.String())
	}
	return strings.Join(list, ","), nil
}
