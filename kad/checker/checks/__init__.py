"""One file a checker: its words, what it is given, how an attempt is made and judged; each is found by its CHECKER."""
