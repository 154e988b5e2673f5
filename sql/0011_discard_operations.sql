-- Discarding many dead letters is an operation too, with progress.

alter table deltahook.operations drop constraint operations_kind_check;
alter table deltahook.operations
  add constraint operations_kind_check check (kind in ('recover', 'requeue', 'discard'));
