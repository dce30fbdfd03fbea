// What constructor.go reads of constructor.c, and its parts share.
struct pcompose_userns {
	int inside;        // this process entered the user's namespaces
	int made;          // it made them
	int ordered;       // it was started again to do so
	int record;        // the record it locked, open as long as it lives: closing it once would free the lock (fcntl_locking(2))
	int error;         // errno of the step that failed, 0 for none
	const char *step;  // what it was
	int refused;       // errno of a namespace that could not be made: nothing was entered
	unsigned uid, gid; // who the user is outside
	char said[512];    // what newuidmap and newgidmap had to say
};
extern struct pcompose_userns pcompose_userns;
#define self pcompose_userns

// decimal writes a number before end and returns where it begins. Neither stdio nor locales are wanted in every process.
char *pcompose_decimal(char *end, unsigned long v);

// bear has the process go on in a new user namespace with the IDs that the user may have, or one; -1 with errno.
int pcompose_bear(void);

// survivor opens a user namespace by a process that is in it, or in one below it, though nobody holds the record: containers
// whose keepers and supervisors were killed. -1 where there is none.
int pcompose_survivor(unsigned long inode);

// recall reads the record's namespace, 0 for none, and what the user was told that it lacks; remember writes them down.
unsigned long pcompose_recall(int fd, char **said);
int pcompose_remember(int fd, const char *said);
