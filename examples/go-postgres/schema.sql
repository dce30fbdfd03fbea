CREATE TABLE todo (id serial PRIMARY KEY, text text NOT NULL);
