//! What people see and press: the HTTP API on the socket.
