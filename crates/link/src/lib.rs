//! How a generation reaches NGINX: publish, swap, signal, ask the ops port.
