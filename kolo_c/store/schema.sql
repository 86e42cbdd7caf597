-- One segment: what one process recorded. docs/reference/schema.md explains each column.
-- Times: *_ns are monotonic nanoseconds of the process, *_utc_ns are nanoseconds since 1970.

CREATE TABLE process (
    id             TEXT PRIMARY KEY,  -- ULID
    segment        INTEGER NOT NULL,  -- 0 for the process's first segment, then 1, 2, …
    pid            INTEGER NOT NULL,
    started_ns     INTEGER NOT NULL,
    started_utc_ns INTEGER NOT NULL,
    anchor_ns      INTEGER,           -- the clocks read together, within a second of the last transaction
    anchor_utc_ns  INTEGER,
    ended_ns       INTEGER,           -- NULL: running, or died
    cause          TEXT,              -- exit, interrupted, …
    info           TEXT NOT NULL      -- JSON: host, argv, cwd, versions, hook, core, config, …
) WITHOUT ROWID;

CREATE TABLE trace (
    number         INTEGER PRIMARY KEY,
    id             TEXT NOT NULL UNIQUE,  -- trc_ and a ULID
    kind           TEXT NOT NULL,         -- process, region, request, test, task
    name           TEXT NOT NULL,
    parent         TEXT,
    started_ns     INTEGER NOT NULL,
    started_utc_ns INTEGER NOT NULL,
    ended_ns       INTEGER,
    status         TEXT NOT NULL,         -- running, complete, interrupted
    cause          TEXT,
    attributes     TEXT NOT NULL,         -- JSON
    counters       TEXT NOT NULL          -- JSON
);

CREATE TABLE thread (
    number    INTEGER PRIMARY KEY,
    name      TEXT,
    ident     INTEGER,
    native_id INTEGER
);

-- The definitions log, in pieces; decode each as a run of msgpack arrays.
CREATE TABLE definition (
    sequence INTEGER NOT NULL,  -- of the block it was written in
    start    INTEGER NOT NULL,  -- offset in that block's data
    first    INTEGER NOT NULL,  -- first and last number in it
    last     INTEGER NOT NULL,
    data     BLOB NOT NULL,
    PRIMARY KEY (sequence, start)
);

-- A block's header. Its bytes are in block_data.
CREATE TABLE block (
    id          INTEGER PRIMARY KEY,
    trace       INTEGER NOT NULL,
    thread      INTEGER NOT NULL,
    sequence    INTEGER NOT NULL,
    base_ns     INTEGER NOT NULL,
    last_ns     INTEGER NOT NULL,
    first_node  INTEGER NOT NULL,
    nodes       INTEGER NOT NULL,
    records     INTEGER NOT NULL,
    start_depth INTEGER NOT NULL,
    least_depth INTEGER NOT NULL,
    definition  INTEGER NOT NULL,
    bytes       INTEGER NOT NULL,  -- before compression
    closes      BLOB,
    opens       BLOB,
    UNIQUE (trace, thread, sequence)
);

CREATE TABLE block_data (
    id       INTEGER PRIMARY KEY,  -- block.id
    encoding INTEGER NOT NULL,     -- 0 raw, 1 zstd
    data     BLOB NOT NULL
);

-- Files of kept code, and their text once per content.
CREATE TABLE file (
    number INTEGER PRIMARY KEY,  -- definition number
    path   TEXT NOT NULL,
    hash   TEXT,                 -- NULL: not readable, or changed since the program read it
    note   TEXT                  -- why there is no hash
);

CREATE TABLE source (
    hash     TEXT PRIMARY KEY,
    bytes    INTEGER NOT NULL,   -- before compression
    masked   INTEGER NOT NULL,   -- secrets that were masked in it
    encoding INTEGER NOT NULL,
    data     BLOB NOT NULL
) WITHOUT ROWID;
