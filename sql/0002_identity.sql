-- Login tokens that die early, addresses that an account is known at, and who fetches an OAuth2 token.

-- Rises at a password change and at disabling: login tokens that carry an earlier one are dead.
alter table deltahook.users add column login_generation int not null default 1;

-- Login tokens given back at logout, until they would have expired anyway.
create table deltahook.revoked_tokens (
  id uuid primary key,
  expires_at timestamptz not null
);

-- Where an account has signed in before: guessing from elsewhere must not slow its owner down.
create table deltahook.known_addresses (
  user_id uuid not null references deltahook.users on delete cascade,
  address text not null,
  seen_at timestamptz not null default now(),
  primary key (user_id, address)
);

-- A lease, so that no connection is held during HTTP: one node fetches, the others wait for what it finds.
create table deltahook.oauth_fetches (
  secret_id uuid primary key references deltahook.secrets on delete cascade,
  secret_revision int not null,
  holder uuid,
  until timestamptz not null,
  problem text, -- why the last fetch failed; told to all until then
  refused boolean not null default false
);
