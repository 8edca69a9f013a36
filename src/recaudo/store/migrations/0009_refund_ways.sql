-- Which way money goes back decides who knows of it: what a merchant gives back in the vendor's panel is in the vendor's
-- own figures, cash and bank transfers never are.
ALTER TABLE refund
    ALTER COLUMN is_manual TYPE text USING CASE WHEN is_manual THEN 'panel' ELSE 'gateway' END;
ALTER TABLE refund RENAME COLUMN is_manual TO way;
ALTER TABLE refund ADD CHECK (way IN ('gateway', 'panel', 'elsewhere'));

-- A notice address that became known is replaced; the one before goes on for a while, until the panel is changed.
ALTER TABLE gateway ADD COLUMN old_notice_digest bytea, ADD COLUMN old_notice_until timestamptz;
CREATE INDEX gateway_by_old_notice ON gateway (old_notice_digest) WHERE old_notice_digest IS NOT NULL;
