// Only for pages that a server keeps up to date.
