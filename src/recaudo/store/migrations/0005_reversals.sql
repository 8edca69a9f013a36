-- Money that goes back names the receipt it came with, and why it went.

ALTER TABLE receipt
    ADD COLUMN reverses uuid,
    ADD COLUMN reason text,
    ADD CHECK ((kind = 'refund') = (amount_minor < 0)),
    ADD CHECK ((kind = 'refund') = (reverses IS NOT NULL));

CREATE INDEX receipt_by_reversed ON receipt (account_id, reverses) WHERE reverses IS NOT NULL;
