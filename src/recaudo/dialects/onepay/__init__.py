"""The OnePay dialect: invoices and payments as OnePay's clients know them."""
