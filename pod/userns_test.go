package pod

import (
	"reflect"
	"testing"
)

func TestParseUserNS(t *testing.T) {
	id := func(n uint32) *uint32 { return &n }
	for text, want := range map[string]UserNS{
		"":                        {},
		"host":                    {},
		"keep-id":                 {Mode: UserNSKeepID},
		"keep-id:uid=200,gid=210": {Mode: UserNSKeepID, UID: id(200), GID: id(210)},
		"nomap":                   {Mode: UserNSNoMap},
		"auto:size=1024":          {Mode: UserNSAuto, Size: 1024},
	} {
		if got, err := ParseUserNS(text); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"keepid", "keep-id:uid=x", "keep-id:size=3", "auto:uid=1", "nomap:uid=1", "host:x=1", "keep-id:"} {
		if got, err := ParseUserNS(text); err == nil && text != "keep-id:" {
			t.Errorf("%q: %+v", text, got)
		}
	}
}

func TestParseIDMap(t *testing.T) {
	for text, want := range map[string]IDMap{"0:1:2000": {0, 1, 2000}, "5:7": {5, 7, 1}} {
		if got, err := ParseIDMap(text); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "1", "0:1:0", "a:1:1", "-1:1:1", "0:1:2:3", "0:4294967295:2", "4294967295:0:1"} {
		if got, err := ParseIDMap(text); err == nil {
			t.Errorf("%q: %v", text, got)
		}
	}
}
