"""HTTP/1.1 for the local AWS: a server and a client.

Why we wrote this ourselves: the local front doors must show an app what AWS shows it, byte for
byte. aiohttp drops header bytes that are not UTF-8, caps lines at 8,190 bytes and adds headers of
its own; http.client and http.server know no streams. Here names keep their case, headers their
order, values any latin-1 byte. Parsing itself is llhttp's (`httptools`).

- `messages`: heads, limits, errors, and how they are written.
- `server`: `listen`; `exchange`: what it gives to a handler.
- `connection`, `requests`: how a server's connection works; nobody else needs them.
- `client`: `connect`, one request at a time, and the pool.
- `streams`: bodies, tunnels and back-pressure, the same for both ends.
"""
