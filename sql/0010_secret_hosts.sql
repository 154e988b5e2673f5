-- Secrets bound to hosts: a bound one goes nowhere else, whatever watch or endpoint names it.

alter table deltahook.secrets add column hosts text[] check (cardinality(hosts) > 0); -- null: not bound
