-- The registers that invoices refer to: products with their prices, retentions, rules of reminders; and what customers
-- have beyond their document and contacts.
--
-- Rows that are deleted stay for the invoices that were made with them. used_at says that an invoice uses a row since
-- then: what it charges by no longer changes.

-- `address` is the rest of a billing address, beyond the columns above; `emails` are further receivers of notices.
ALTER TABLE customer
    ADD COLUMN address json,
    ADD COLUMN emails json NOT NULL DEFAULT '[]',
    ADD COLUMN deleted_at timestamptz;

-- Customers made from a reference have ids that are not ordered by time, so lists go by creation.
CREATE INDEX customer_listed ON customer (account_id, created_at, id) WHERE listed;

-- What is owed to a customer is asked for with the customer.
CREATE INDEX transfer_of_credit ON transfer (account_id, customer_id) WHERE debit = 'credit' OR credit = 'credit';

-- `refs` are the product's ids in other systems, by system.
CREATE TABLE product (
    account_id uuid NOT NULL,
    id uuid NOT NULL,
    name text NOT NULL,
    description text,
    status text NOT NULL CHECK (status IN ('active', 'inactive')),
    refs json NOT NULL,
    image text,
    tax_id text,
    tax_percentage numeric CHECK (tax_percentage BETWEEN 0 AND 100),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    deleted_at timestamptz,
    PRIMARY KEY (account_id, id)
);

-- `tiers` is an array of {up_to, unit_price_minor}.
CREATE TABLE price (
    account_id uuid NOT NULL,
    id uuid NOT NULL,
    product_id uuid NOT NULL,
    model text NOT NULL CHECK (model IN ('standard', 'graduated', 'volume')),
    unit_price_minor bigint CHECK (unit_price_minor >= 0),
    tiers json NOT NULL,
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    type text NOT NULL CHECK (type IN ('one_time', 'recurring')),
    billing_period text CHECK (billing_period IN ('day', 'week', 'month', 'year')),
    billing_interval integer CHECK (billing_interval >= 1),
    active boolean NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    used_at timestamptz,
    deleted_at timestamptz,
    PRIMARY KEY (account_id, id),
    FOREIGN KEY (account_id, product_id) REFERENCES product (account_id, id),
    CHECK ((model = 'standard') = (unit_price_minor IS NOT NULL)),
    CHECK ((type = 'recurring') = (billing_period IS NOT NULL AND billing_interval IS NOT NULL))
);

CREATE INDEX price_by_product ON price (account_id, product_id);

-- What payers withhold. Days are of the account's time zone, first and last one included.
CREATE TABLE retention (
    account_id uuid NOT NULL,
    id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('reteica', 'reteiva', 'retefte')),
    name text NOT NULL,
    percentage numeric NOT NULL CHECK (percentage > 0 AND percentage <= 100),
    minimum_base_minor bigint NOT NULL CHECK (minimum_base_minor >= 0),
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    valid_from date,
    valid_until date,
    active boolean NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    used_at timestamptz,
    PRIMARY KEY (account_id, id),
    CHECK (valid_from <= valid_until)
);

-- When payers are reminded: `moments` is an array of {moment, days, channel}, counted from the due day.
CREATE TABLE collection_rule (
    account_id uuid NOT NULL,
    id uuid NOT NULL,
    name text NOT NULL,
    moments json NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, id)
);
