//! Seeds that once broke something, with what was mended since.

/// Each is run by every test run.
pub const FOUND: &[(u64, &str)] = &[
    (8, "a full disk kept a daemon from beginning"),
    (11, "a daemon that went on with the stack forgave its crash loop"),
    (68, "a look that was long over showed a container that never ran, and it was started at once"),
    (604, "an end that was shown once more was answered at once"),
    (764, "an end that was shown once more was not counted"),
    (920, "an old look hid that the newer of two ran, and the older one was started beside it"),
    (1632, "a container was made on a volume that had just gone, and the engine made it anew"),
    (2359, "a start that was given up came late, beside another container that was started instead"),
    (2769, "an old look hid that one of two replicas ran, and an older one was started beside it"),
    (3820, "what a full disk kept from being written waited for the engine too"),
];
