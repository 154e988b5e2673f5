-- Whole hours of all nodes together, for windows of days: minutes are many, and kept for eight days only.

create table deltahook.rollup_hours (
  hour timestamptz not null,
  metric text not null,
  count bigint not null,
  buckets int[],
  primary key (hour, metric)
);

-- Sums the hours that are over and were not summed yet. Nodes flush within seconds, into the minute of the flush.
create function deltahook.sum_rollup_hours() returns void language sql as $$
  with
  lately as (
    select date_trunc('hour', minute, 'UTC') as hour, metric, count, buckets
    from deltahook.rollups
    where minute >= (select coalesce(max(hour) + interval '1 hour', '-infinity') from deltahook.rollup_hours)
      and minute < date_trunc('hour', now() - interval '5 minutes', 'UTC')
  ),
  measured as (
    select hour, metric, array_agg(n order by place) as buckets
    from (select hour, metric, place, sum(n)::int as n
          from lately, unnest(buckets) with ordinality as bucket (n, place) group by hour, metric, place) as summed
    group by hour, metric
  )
  insert into deltahook.rollup_hours (hour, metric, count, buckets)
  select counted.hour, counted.metric, counted.count, measured.buckets
  from (select hour, metric, sum(count)::bigint as count from lately group by hour, metric) as counted
  left join measured on measured.hour = counted.hour and measured.metric = counted.metric
  on conflict do nothing
$$;
select deltahook.sum_rollup_hours();
