"""Forms of orders."""

from django import forms

from shop.orders.models import Invoice, Order


class PaymentForm(forms.Form):
    card_number = forms.RegexField(r"^[0-9]{12,19}$")


class OrderForm(forms.Form):
    email = forms.EmailField()
    sku = forms.CharField(max_length=20)
    quantity = forms.IntegerField(min_value=1, max_value=99)
    coupon = forms.CharField(max_length=20, required=False)


class InvoiceForm(forms.Form):
    order = forms.ModelChoiceField(Order.objects.all())
    file = forms.FileField(max_length=100)

    def save(self, checksum):
        upload = self.cleaned_data["file"]
        return Invoice.objects.create(
            order=self.cleaned_data["order"],
            file=upload,
            size=upload.size,
            checksum=checksum,
        )
