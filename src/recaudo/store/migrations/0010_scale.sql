-- What lets an account grow: the numbers that lists tell, indexes for lists by status, and how old rows are found.

-- How many rows of a noun are in a status: the sum of `count` over the rows of one name ("invoice:paid"). Commits add
-- rows, so that none waits for another one's; the worker folds them.
CREATE TABLE tally (
    account_id uuid NOT NULL,
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    name text NOT NULL,
    count bigint NOT NULL CHECK (count <> 0),
    PRIMARY KEY (account_id, id)
);

-- Nearly every row is folded away within seconds.
ALTER TABLE tally SET (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 5000);

INSERT INTO tally (account_id, name, count)
SELECT account_id,
    'invoice:' || CASE WHEN state = 'open' AND received_minor > 0 THEN 'part' ELSE state END, count(*)
FROM invoice WHERE kind = 'invoice' GROUP BY 1, 2
UNION ALL
SELECT account_id,
    'collection:' || CASE
        WHEN state = 'paid' AND received_minor = 0 THEN 'refunded'
        WHEN state = 'paid' THEN 'paid'
        WHEN state IN ('cancelled', 'void', 'uncollectible') THEN 'cancelled'
        WHEN state = 'expired' AND received_minor > 0 THEN 'part_expired'
        WHEN state = 'expired' THEN 'expired'
        WHEN open_attempts > 0 THEN 'in_progress'
        WHEN received_minor > 0 THEN 'part'
        ELSE 'pending'
    END, count(*)
FROM collection GROUP BY 1, 2
UNION ALL
SELECT account_id, 'attempt:' || state, count(*) FROM attempt GROUP BY 1, 2
UNION ALL
SELECT account_id, 'customer:listed', count(*) FROM customer WHERE listed GROUP BY 1;

-- Lists by status, newest first, however rare the status is. The words are those of store/tally.py.
CREATE INDEX invoice_by_status ON invoice (
    account_id, (CASE WHEN state = 'open' AND received_minor > 0 THEN 'part' ELSE state END), id
) WHERE kind = 'invoice';

CREATE INDEX collection_by_status ON collection (
    account_id, (CASE
        WHEN state = 'paid' AND received_minor = 0 THEN 'refunded'
        WHEN state = 'paid' THEN 'paid'
        WHEN state IN ('cancelled', 'void', 'uncollectible') THEN 'cancelled'
        WHEN state = 'expired' AND received_minor > 0 THEN 'part_expired'
        WHEN state = 'expired' THEN 'expired'
        WHEN open_attempts > 0 THEN 'in_progress'
        WHEN received_minor > 0 THEN 'part'
        ELSE 'pending'
    END), id
);

CREATE INDEX attempt_by_state ON attempt (account_id, state, id);

CREATE INDEX attempt_by_payment ON attempt (account_id, paid_at DESC NULLS LAST, id DESC);

-- Old answers are found by their age. A block-range index costs a creation next to nothing.
CREATE INDEX idempotency_age ON idempotency USING brin (created_at) WITH (pages_per_range = 32, autosummarize = on);

-- Rows that pass through many states, or leave in bulk, must not wait for a fifth of the table to be dead.
ALTER TABLE idempotency SET (autovacuum_vacuum_scale_factor = 0.05);
ALTER TABLE collection SET (autovacuum_vacuum_scale_factor = 0.05);
ALTER TABLE invoice SET (autovacuum_vacuum_scale_factor = 0.05);
