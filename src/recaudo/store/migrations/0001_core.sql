-- The core: who may ask (merchant, account, api_key), what is owed (customer, invoice), what is asked for and tried
-- (collection, attempt), what arrived and how it was booked (receipt, transfer), what happened (event), and which
-- request did it (idempotency).
--
-- Every key leads with account_id, so that the schema spreads over machines by tenant. Ids are UUIDv7 made by the
-- program from the account's clock: ordering by id is ordering by creation. Money is minor units. Instants are
-- given by the program on the account's clock, except the due work columns, which are real time. What callers sent
-- as an object is json, not jsonb, so that its members keep their order.
--
-- Due work: a row that waits for the worker has due_at; a worker takes it by setting leased_until.

CREATE TABLE merchant (
    id uuid PRIMARY KEY,
    slug text NOT NULL UNIQUE CHECK (slug ~ '^[a-z0-9][a-z0-9-]{1,48}[a-z0-9]$'),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    support_contact text,
    created_at timestamptz NOT NULL
);

CREATE TABLE account (
    id uuid PRIMARY KEY,
    merchant_id uuid NOT NULL REFERENCES merchant,
    is_test boolean NOT NULL,
    active boolean NOT NULL DEFAULT true,
    clock_shift interval NOT NULL DEFAULT '0',
    settings jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL,
    -- Live accounts run on real time.
    CHECK (is_test OR clock_shift = '0')
);

CREATE UNIQUE INDEX account_one_live ON account (merchant_id) WHERE NOT is_test;

-- A key is known by the SHA-256 of its text; the text is shown once and kept nowhere.
CREATE TABLE api_key (
    account_id uuid NOT NULL REFERENCES account,
    id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('secret', 'public')),
    hash bytea NOT NULL,
    hint text NOT NULL,
    created_at timestamptz NOT NULL,
    revoked_at timestamptz,
    PRIMARY KEY (account_id, id),
    UNIQUE (account_id, hash)
);

CREATE INDEX api_key_by_hash ON api_key (hash);

CREATE TABLE customer (
    account_id uuid NOT NULL,
    id uuid NOT NULL,
    reference text,
    listed boolean NOT NULL,
    user_type text NOT NULL CHECK (user_type IN ('natural', 'company')),
    first_name text,
    last_name text,
    email text,
    phone text,
    document_type text,
    document_number text,
    document_bound boolean CHECK (document_bound),
    enable_notifications boolean NOT NULL,
    nationality text,
    birthdate date,
    related_to uuid,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, id)
);

-- NULLs never collide: document_bound is null where the account lets customers share a document.
CREATE UNIQUE INDEX customer_by_document ON customer (account_id, document_number, document_type, document_bound)
    WHERE document_number IS NOT NULL;

-- People type their document in the portal, in whatever case.
CREATE INDEX customer_by_typed_document ON customer (account_id, lower(document_number))
    WHERE document_number IS NOT NULL;

-- The invoice is the aggregate: whoever changes anything under it raises its version by one, and only one can.
-- Rows are not tied to account or customer by foreign keys: accounts are never deleted, and the share locks those
-- keys take on hot rows would serialise concurrent creates. recaudo doctor checks both.
CREATE TABLE invoice (
    account_id uuid NOT NULL,
    id uuid NOT NULL,
    version integer NOT NULL CHECK (version >= 1),
    kind text NOT NULL CHECK (kind IN ('invoice', 'request')),
    dialect text NOT NULL,
    state text NOT NULL CHECK (state IN ('open', 'paid', 'void', 'uncollectible')),
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    amount_minor bigint CHECK (amount_minor BETWEEN 1 AND 1000000000000000),
    received_minor bigint NOT NULL CHECK (received_minor >= 0),
    name text NOT NULL,
    description text,
    reference text,
    origin text,
    origin_id text,
    origin_bound boolean CHECK (origin_bound),
    customer_id uuid,
    phone text,
    email text,
    due_on date,
    document_url text,
    redirect_url text,
    metadata json NOT NULL,
    partial json,
    allows json NOT NULL,
    closed_reason text,
    collection_id uuid NOT NULL,
    generation integer NOT NULL CHECK (generation >= 1),
    wire json NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    paid_at timestamptz,
    PRIMARY KEY (account_id, id),
    CHECK (kind = 'request' OR amount_minor IS NOT NULL),
    CHECK (amount_minor IS NULL OR received_minor <= amount_minor),
    CHECK (state <> 'paid' OR received_minor = amount_minor)
);

-- Serves the look-up by origin_id and forbids a second living invoice with the same origin and origin_id. NULLs never
-- collide: origin_bound is null on withdrawn invoices and where the account allows duplicates.
CREATE UNIQUE INDEX invoice_by_origin ON invoice (account_id, origin_id, origin, dialect, origin_bound)
    WHERE origin_id IS NOT NULL;

CREATE INDEX invoice_by_reference ON invoice (account_id, lower(reference)) WHERE reference IS NOT NULL;

CREATE INDEX invoice_by_customer ON invoice (account_id, customer_id, id) WHERE customer_id IS NOT NULL;

CREATE TABLE collection (
    account_id uuid NOT NULL,
    id uuid NOT NULL,
    invoice_id uuid NOT NULL,
    generation integer NOT NULL CHECK (generation >= 1),
    ordinal integer NOT NULL CHECK (ordinal >= 1),
    state text NOT NULL CHECK (state IN ('pending', 'paid', 'cancelled', 'expired', 'void', 'uncollectible')),
    currency text NOT NULL,
    amount_minor bigint CHECK (amount_minor BETWEEN 1 AND 1000000000000000),
    received_minor bigint NOT NULL,
    overpaid_minor bigint NOT NULL CHECK (overpaid_minor >= 0),
    refunded_minor bigint NOT NULL CHECK (refunded_minor >= 0),
    parts integer NOT NULL CHECK (parts >= 0),
    open_attempts integer NOT NULL CHECK (open_attempts >= 0),
    due_on date,
    expires_at timestamptz,
    method json,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    paid_at timestamptz,
    due_at timestamptz,
    leased_until timestamptz,
    tries integer NOT NULL,
    last_error text,
    PRIMARY KEY (account_id, id),
    FOREIGN KEY (account_id, invoice_id) REFERENCES invoice (account_id, id)
);

CREATE INDEX collection_by_invoice ON collection (account_id, invoice_id);

-- A payer's link holds the id alone.
CREATE INDEX collection_by_id ON collection (id);

CREATE INDEX collection_due ON collection (due_at) WHERE due_at IS NOT NULL;

CREATE TABLE attempt (
    account_id uuid NOT NULL,
    id uuid NOT NULL,
    invoice_id uuid NOT NULL,
    collection_id uuid NOT NULL,
    state text NOT NULL
        CHECK (state IN ('created', 'processing', 'unknown', 'succeeded', 'failed', 'refunded', 'disputed')),
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    currency text NOT NULL,
    gateway text NOT NULL,
    reference text NOT NULL,
    once_key text NOT NULL,
    method_type text,
    method json,
    gateway_tx_id text,
    gateway_data json NOT NULL,
    failure_code text,
    failure_text text,
    ask_at timestamptz,
    asked integer NOT NULL CHECK (asked >= 0),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    paid_at timestamptz,
    due_at timestamptz,
    leased_until timestamptz,
    tries integer NOT NULL,
    last_error text,
    PRIMARY KEY (account_id, id),
    UNIQUE (account_id, collection_id, once_key),
    UNIQUE (account_id, gateway, reference),
    FOREIGN KEY (account_id, collection_id) REFERENCES collection (account_id, id)
);

CREATE INDEX attempt_due ON attempt (due_at) WHERE due_at IS NOT NULL;

-- Append-only. The unique key is what makes booking a gateway's transaction exactly once.
CREATE TABLE receipt (
    account_id uuid NOT NULL,
    id uuid NOT NULL,
    invoice_id uuid NOT NULL,
    collection_id uuid,
    attempt_id uuid,
    kind text NOT NULL CHECK (kind IN ('gateway', 'outside', 'refund')),
    amount_minor bigint NOT NULL CHECK (amount_minor <> 0),
    currency text NOT NULL,
    gateway text NOT NULL,
    gateway_tx_id text NOT NULL,
    number text NOT NULL,
    method json,
    at timestamptz NOT NULL,
    PRIMARY KEY (account_id, id),
    UNIQUE (account_id, gateway, gateway_tx_id, kind),
    UNIQUE (account_id, number),
    FOREIGN KEY (account_id, invoice_id) REFERENCES invoice (account_id, id)
);

CREATE INDEX receipt_by_invoice ON receipt (account_id, invoice_id);

-- The ledger, append-only: amount_minor moves from the credit book to the debit book.
CREATE TABLE transfer (
    account_id uuid NOT NULL,
    id uuid NOT NULL,
    invoice_id uuid NOT NULL,
    collection_id uuid,
    receipt_id uuid,
    customer_id uuid,
    debit text NOT NULL,
    credit text NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    currency text NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (account_id, invoice_id, id),
    CHECK (debit <> credit)
);

-- What happened, append-only. The first event of a change (ordinal 0) carries the invoice as it was after it.
-- Readers that follow the table order by transaction, below the oldest one still running, so that a row that
-- commits late is never skipped.
CREATE TABLE event (
    account_id uuid NOT NULL,
    id uuid NOT NULL,
    invoice_id uuid NOT NULL,
    version integer NOT NULL,
    ordinal integer NOT NULL CHECK (ordinal >= 0),
    type text NOT NULL,
    collection_id uuid,
    attempt_id uuid,
    data json NOT NULL,
    snapshot json,
    at timestamptz NOT NULL,
    transaction_id xid8 NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (account_id, invoice_id, version, ordinal),
    CHECK ((ordinal = 0) = (snapshot IS NOT NULL))
);

-- Which request did what: the same key again is answered with the stored bytes. It is written in the commit of its
-- effect. `request` is the canonical body, kept to tell which members of another body differ.
CREATE TABLE idempotency (
    account_id uuid NOT NULL,
    scope text NOT NULL,
    key text NOT NULL,
    request text NOT NULL,
    status smallint NOT NULL,
    answer bytea NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, scope, key)
);

-- Notices to payers that wait to be sent. Written with the change that causes them; channels read them.
CREATE TABLE notice (
    account_id uuid NOT NULL,
    id uuid NOT NULL,
    invoice_id uuid NOT NULL,
    collection_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('opened', 'reminder', 'withdrawn')),
    channel text NOT NULL CHECK (channel IN ('phone', 'email')),
    address text NOT NULL,
    template_id text,
    not_before timestamptz,
    state text NOT NULL CHECK (state IN ('waiting', 'sent', 'dropped')),
    created_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, id)
);
