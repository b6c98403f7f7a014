"""Whether the server ended an idle session: by a restart, a failover or an operator."""

import select

import psycopg


def has_ended(connection: psycopg.Connection) -> bool:
    """Whether `connection`, which is idle, can no longer be used. It asks the server nothing.

    A server that ends a session says so and closes it, which waits here to be read. Without
    this look the next statement would fail, though the server may have long been back.
    """
    session = connection.pgconn
    try:
        # Not select(), which takes no descriptor above 1023.
        poller = select.poll()
        poller.register(session.socket, select.POLLIN)
        while poller.poll(0):
            # Also a notice, after which the session goes on. At its end it raises.
            session.consume_input()
    except psycopg.Error:
        return True
    return connection.closed
