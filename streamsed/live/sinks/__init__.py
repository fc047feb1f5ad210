"""Who is told of events while one listens: a pipe, a log, another program, a folder."""
