-- Failed sign-ins in the audit log: what happens again and again, such as guessing, is one entry that counts.

alter table deltahook.audit_log add column tally text; -- of an entry that counts: what the same thing has in common
create unique index audit_log_tally on deltahook.audit_log (tally) where tally is not null;
