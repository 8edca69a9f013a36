-- The merchant's own gateways, what they send us without being asked, money that fits nothing, refunds, and the daily
-- comparison with the gateways' own lists.

-- A paid invoice stays paid when money goes back, unless it is reopened.
ALTER TABLE invoice DROP CONSTRAINT invoice_check2;

-- One gateway of each kind for an account. `credentials` and `notice_key` are secrets, encrypted; the digest finds
-- the gateway that a notice's address names. The row is due work: the daily comparison.
CREATE TABLE gateway (
    account_id uuid NOT NULL,
    id uuid NOT NULL,
    kind text NOT NULL,
    position integer NOT NULL CHECK (position >= 0),
    enabled boolean NOT NULL,
    credentials bytea NOT NULL,
    notice_key bytea NOT NULL,
    notice_digest bytea NOT NULL,
    methods json,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    verified_at timestamptz,
    last_problem text,
    last_problem_at timestamptz,
    compared_until timestamptz,
    due_at timestamptz,
    leased_until timestamptz,
    tries integer NOT NULL DEFAULT 0,
    last_error text,
    PRIMARY KEY (account_id, id),
    UNIQUE (account_id, kind)
);

CREATE INDEX gateway_by_digest ON gateway (notice_digest);
CREATE INDEX gateway_due ON gateway (due_at) WHERE due_at IS NOT NULL;

-- What gateways sent, to the byte and encrypted, before anything of it was believed. A second copy of a genuine notice is not kept:
-- its key is taken. Forged ones have no key.
CREATE TABLE gateway_notice (
    account_id uuid NOT NULL,
    id uuid NOT NULL,
    gateway_id uuid NOT NULL,
    kind text NOT NULL,
    verdict text NOT NULL CHECK (verdict IN ('valid', 'unsigned', 'invalid')),
    reason text,
    path text NOT NULL,
    query text NOT NULL,
    headers json NOT NULL,
    body bytea NOT NULL CHECK (length(body) <= 262208),
    dedupe_key text,
    claims json NOT NULL,
    outcome text,
    received_at timestamptz NOT NULL,
    done_at timestamptz,
    due_at timestamptz,
    leased_until timestamptz,
    tries integer NOT NULL DEFAULT 0,
    last_error text,
    PRIMARY KEY (account_id, id),
    UNIQUE (account_id, kind, dedupe_key),
    FOREIGN KEY (account_id, gateway_id) REFERENCES gateway (account_id, id)
);

CREATE INDEX gateway_notice_due ON gateway_notice (due_at) WHERE due_at IS NOT NULL;

-- Transactions that a gateway reports and that we must not book: of no attempt of ours, in another currency, of the
-- other environment. Kept and told until a person says what became of each.
CREATE TABLE suspense (
    account_id uuid NOT NULL,
    id uuid NOT NULL,
    gateway text NOT NULL,
    gateway_tx_id text NOT NULL,
    reason text NOT NULL CHECK (reason IN ('unmatched', 'wrong_currency', 'wrong_environment')),
    reference text,
    amount_minor bigint NOT NULL CHECK (amount_minor >= 0),
    currency text NOT NULL,
    fact json NOT NULL,
    found_at timestamptz NOT NULL,
    resolved_at timestamptz,
    resolution text,
    PRIMARY KEY (account_id, id),
    UNIQUE (account_id, gateway, gateway_tx_id, reason)
);

CREATE INDEX suspense_open ON suspense (account_id, id) WHERE resolved_at IS NULL;

-- Money that a merchant gives back. Through the gateway it is due work until the gateway says what became of it; by
-- hand it is done when it is written. Each row that succeeded is covered by negative receipts.
CREATE TABLE refund (
    account_id uuid NOT NULL,
    id uuid NOT NULL,
    receipt_id uuid NOT NULL,
    invoice_id uuid NOT NULL,
    attempt_id uuid,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    currency text NOT NULL,
    state text NOT NULL CHECK (state IN ('created', 'processing', 'unknown', 'succeeded', 'failed')),
    is_manual boolean NOT NULL,
    reason text NOT NULL,
    evidence text,
    gateway_refund_id text,
    failure_code text,
    failure_text text,
    ask_at timestamptz,
    asked integer NOT NULL CHECK (asked >= 0),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    due_at timestamptz,
    leased_until timestamptz,
    tries integer NOT NULL,
    last_error text,
    PRIMARY KEY (account_id, id),
    FOREIGN KEY (account_id, receipt_id) REFERENCES receipt (account_id, id)
);

CREATE INDEX refund_by_receipt ON refund (account_id, receipt_id);
CREATE INDEX refund_due ON refund (due_at) WHERE due_at IS NOT NULL;

-- What one comparison of a gateway's own list with ours found.
CREATE TABLE reconciliation (
    account_id uuid NOT NULL,
    id uuid NOT NULL,
    gateway text NOT NULL,
    since timestamptz NOT NULL,
    until timestamptz NOT NULL,
    transactions integer NOT NULL CHECK (transactions >= 0),
    differences json NOT NULL,
    made_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, id)
);

-- What the comparison looks our side up by.
CREATE INDEX receipt_by_transaction ON receipt (account_id, gateway, at) WHERE kind = 'gateway';
