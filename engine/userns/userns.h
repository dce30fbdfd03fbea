// What constructor.go reads of constructor.c.
struct pcompose_userns {
	int inside;       // this process entered the user's namespaces
	int error;        // errno of the step that failed, 0 for none
	const char *step; // what it was
	unsigned uid, gid; // who the user is outside
};
extern struct pcompose_userns pcompose_userns;
