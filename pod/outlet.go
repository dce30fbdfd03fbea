package pod

// OutletKind is a way in which a pod reaches the world outside.
type OutletKind string

const (
	// OutletVeth is a pair of links and rules on the host, which needs its privileges.
	OutletVeth OutletKind = "veth"
	// OutletPasta is the program pasta(1), which needs none.
	OutletPasta OutletKind = "pasta"
	// OutletBuiltIn is a network stack in a process of ours, which needs none and no other program.
	OutletBuiltIn OutletKind = "built-in"
)

// Outlet is how a pod reaches the world outside, and is reached. It stays what it is for the pod's life.
type Outlet struct {
	// Kind "" is OutletVeth.
	Kind OutletKind `json:",omitempty"`
	// Program is pasta's path, Options are the user's for it.
	Program string   `json:",omitempty"`
	Options []string `json:",omitempty"`
	// Fallback lets the built-in stack step in where pasta does not start.
	Fallback bool `json:",omitempty"`
}
