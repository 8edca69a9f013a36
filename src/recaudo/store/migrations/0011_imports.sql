-- Files of invoices that were sent over HTTP: the job that loads one, its bytes until that is over, and the rows that
-- were refused. Each batch of invoices is written in one transaction with how far the job is.

-- The row is due work: while it is received, for one that is given up; while it waits or runs; once it is over, to be
-- forgotten. at_offset and at_line are where the next row begins. Instants are on the account's clock, but for due work.
CREATE TABLE import_job (
    account_id uuid NOT NULL,
    id uuid NOT NULL,
    state text NOT NULL CHECK (state IN ('receiving', 'queued', 'running', 'done', 'failed')),
    options json NOT NULL,
    dry_run boolean NOT NULL,
    bytes bigint NOT NULL DEFAULT 0 CHECK (bytes >= 0),
    titles json,
    traits json NOT NULL DEFAULT '{}',
    ignored json NOT NULL DEFAULT '[]',
    at_offset bigint NOT NULL DEFAULT 0 CHECK (at_offset >= 0),
    at_line bigint NOT NULL DEFAULT 0 CHECK (at_line >= 0),
    read bigint NOT NULL DEFAULT 0,
    created bigint NOT NULL DEFAULT 0,
    already_there bigint NOT NULL DEFAULT 0,
    refused bigint NOT NULL DEFAULT 0,
    problem text,
    created_at timestamptz NOT NULL,
    finished_at timestamptz,
    due_at timestamptz,
    leased_until timestamptz,
    tries integer NOT NULL DEFAULT 0,
    last_error text,
    PRIMARY KEY (account_id, id),
    CHECK (read = created + already_there + refused),
    CHECK ((state IN ('done', 'failed')) = (finished_at IS NOT NULL))
);

CREATE INDEX import_job_due ON import_job (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX import_job_unfinished ON import_job (account_id) WHERE finished_at IS NULL;

-- Pieces of equal size but for the last, so that any worker on any machine can read from any place.
CREATE TABLE import_chunk (
    account_id uuid NOT NULL,
    import_id uuid NOT NULL,
    ordinal integer NOT NULL CHECK (ordinal >= 0),
    content bytea NOT NULL CHECK (length(content) BETWEEN 1 AND 1048576),
    PRIMARY KEY (account_id, import_id, ordinal),
    FOREIGN KEY (account_id, import_id) REFERENCES import_job (account_id, id) ON DELETE CASCADE
);

-- Files are packed already or of no use to pack: they are gone in minutes.
ALTER TABLE import_chunk ALTER COLUMN content SET STORAGE EXTERNAL;

CREATE TABLE import_refusal (
    account_id uuid NOT NULL,
    import_id uuid NOT NULL,
    line bigint NOT NULL,
    kept json NOT NULL,
    PRIMARY KEY (account_id, import_id, line),
    FOREIGN KEY (account_id, import_id) REFERENCES import_job (account_id, id) ON DELETE CASCADE
);
