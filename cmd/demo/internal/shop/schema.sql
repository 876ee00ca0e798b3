-- The shop's own tables, beside those of squidmesh and River. One text for PostgreSQL and SQLite. Times are milliseconds
-- since 1970, amounts are cents.

create table if not exists shop_night (
	id         text primary key,
	started_at bigint not null
);

create table if not exists shop_counter (
	name  text primary key,
	value bigint not null
);

create table if not exists shop_stock (
	isbn    text primary key,
	copies  bigint not null, -- when the night began
	on_hand bigint not null check (on_hand >= 0)
);

create table if not exists shop_reservation (
	order_id text not null,
	isbn     text not null,
	quantity bigint not null check (quantity > 0),
	state    text not null check (state in ('reserved', 'released', 'sold')),
	primary key (order_id, isbn)
);

create table if not exists shop_shipment (
	order_id   text primary key,
	tracking   text not null unique,
	country    text not null,
	grams      bigint not null,
	shipped_at bigint not null
);

create table if not exists shop_receipt (
	order_id  text primary key,
	number    bigint not null unique,
	intent    text not null,
	total     bigint not null,
	vat       bigint not null,
	country   text not null,
	issued_at bigint not null
);

create table if not exists shop_decline (
	order_id    text primary key,
	reason      text not null,
	declined_at bigint not null
);

create table if not exists shop_refund (
	order_id    text primary key,
	refund      text not null, -- the provider's number; empty if refused
	amount      bigint not null,
	status      text not null check (status in ('settled', 'refused')),
	reason      text not null,
	recorded_at bigint not null
);

create table if not exists shop_digest (
	day    text primary key,
	orders bigint not null,
	total  bigint not null,
	vat    bigint not null,
	body   text not null
);
