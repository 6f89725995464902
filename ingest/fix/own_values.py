"""Values of the coded fields Tieout knows, with their meaning: all versions of FIX together."""

from collections.abc import Mapping
from types import MappingProxyType

# tag code=meaning ...; `_` stands for a blank. A code no version of FIX 4.0 to 5.0SP2 has is not listed.
_VALUES = """
13 1=per_unit 2=percent 3=absolute 4=percent_waived_cash_discount 5=percent_waived_enhanced_units 6=points_per_bond
20 0=new 1=cancel 2=correct 3=status
29 1=agent 2=cross_as_agent 3=cross_as_principal 4=principal 5=riskless_principal
39 0=new 1=partially_filled 2=filled 3=done_for_day 4=cancelled 5=replaced 6=pending_cancel 7=stopped 8=rejected
39 9=suspended A=pending_new B=calculated C=expired D=accepted_for_bidding E=pending_replace
43 Y=possible_duplicate N=original
54 1=buy 2=sell 3=buy_minus 4=sell_plus 5=sell_short 6=sell_short_exempt 7=undisclosed 8=cross 9=cross_short
54 A=cross_short_exempt B=as_defined C=opposite D=subscribe E=redeem F=lend G=borrow H=sell_undisclosed
71 0=new 1=replace 2=cancel 3=preliminary 4=calculated 5=calculated_without_preliminary 6=reversal
77 O=open C=close R=rolled F=FIFO N=close_but_notify_on_open D=default
87 0=accepted 1=block_rejected 2=account_rejected 3=received 4=incomplete 5=rejected_by_intermediary
87 6=allocation_pending 7=reversed 8=cancelled_by_intermediary 9=claimed 10=refused 11=pending_give-up_approval
87 12=cancelled 13=pending_take-up_approval 14=reversal_pending
88 0=unknown_account 1=wrong_quantity 2=wrong_average_price 3=unknown_executing_broker 4=commission_difference
88 5=unknown_OrderID(37) 6=unknown_ListID(66) 7=other_(see_Text) 8=wrong_allocated_quantity 9=calculation_difference
88 10=unknown_or_stale_ExecID(17) 11=mismatched_data 12=unknown_ClOrdID(11) 13=warehouse_request_rejected 99=other
97 Y=possible_resend N=original
98 0=none 1=PKCS 2=DES 3=PKCS/DES 4=PGP/DES 5=PGP/DES-MD5 6=PEM/DES-MD5
123 Y=gap_fill N=reset
127 A=unknown_symbol B=wrong_side C=quantity_exceeds_order D=no_matching_order E=price_exceeds_limit
127 F=calculation_difference G=no_matching_ExecutionReport Z=other
139 1=regulatory 2=tax 3=local_commission 4=exchange 5=stamp 6=levy 7=other 8=markup 9=consumption_tax
139 10=per_transaction 11=conversion 12=agent 13=transfer 14=securities_lending 15=trade_reporting
139 16=tax_on_principal 17=tax_on_accrued_interest 18=new_issue 19=service 20=odd_lot 21=auction 22=value_added_tax
150 0=new 1=partial_fill 2=fill 3=done_for_day 4=cancelled 5=replaced 6=pending_cancel 7=stopped 8=rejected
150 9=suspended A=pending_new B=calculated C=expired D=restated E=pending_replace F=trade G=trade_correct
150 H=trade_cancel I=order_status J=trade_in_clearing_hold K=trade_released_to_clearing L=triggered
156 M=multiply D=divide
197 0=FX_netting 1=FX_swap
201 0=put 1=call
373 0=invalid_tag_number 1=required_tag_missing 2=tag_not_defined_for_this_message 3=undefined_tag
373 4=tag_without_a_value 5=value_out_of_range 6=wrong_data_format 7=decryption_problem 8=signature_problem
373 9=CompID_problem 10=SendingTime_accuracy 11=invalid_MsgType 12=XML_validation 13=tag_appears_more_than_once
373 14=tag_out_of_order 15=group_fields_out_of_order 16=wrong_group_count 17=separator_in_a_value
373 18=unsupported_application_version 99=other
380 0=other 1=unknown_id 2=unknown_security 3=unsupported_message_type 4=application_not_available
380 5=conditionally_required_field_missing 6=not_authorised 7=deliver-to_firm_not_available 8=throttle_exceeded
380 18=invalid_price_increment
385 S=send R=receive
423 1=percentage 2=per_unit 3=fixed_amount 4=discount 5=premium 6=basis_points_to_benchmark 7=TED_price 8=TED_yield
423 9=yield 10=fixed_cabinet_price 11=variable_cabinet_price 12=price_spread 13=ticks_in_halves 14=ticks_in_fourths
423 15=ticks_in_eighths 16=ticks_in_sixteenths 17=ticks_in_32nds 18=ticks_in_64ths 19=ticks_in_128ths
423 20=normal_rate 21=inverse_rate 22=basis_points 23=upfront_points 24=interest_rate 25=percentage_of_notional
442 1=single_security 2=leg_of_a_multi-leg_security 3=multi-leg_security
464 Y=test N=production
487 0=new 1=cancel 2=replace 3=release 4=reverse 5=cancel_due_to_back-out N=new C=cancel R=replace
570 Y=reported_before N=not_reported_before
573 0=matched 1=unmatched 2=advisory
581 1=customer_side 2=non-customer_side 3=house_trader 4=floor_trader 6=non-customer,_cross-margined
581 7=house_trader,_cross-margined 8=joint_back_office
624 1=buy 2=sell 3=buy_minus 4=sell_plus 5=sell_short 6=sell_short_exempt 7=undisclosed 8=cross 9=cross_short
624 B=as_defined C=opposite
626 1=calculated 2=preliminary 3=sell-side_calculated_using_preliminary 4=sell-side_calculated 5=ready-to-book
626 6=buy-side_ready-to-book_combined 7=warehouse_instruction 8=request_to_intermediary 9=accept 10=reject
626 11=accept_pending 12=incomplete_group 13=complete_group 14=reversal_pending
665 1=received 2=mismatched_account 3=missing_settlement_instructions 4=confirmed 5=request_rejected
666 0=new 1=replace 2=cancel
706 0=submitted 1=accepted 2=rejected
724 0=positions 1=trades 2=exercises 3=assignments 4=settlement_activity 5=backout 6=delta_positions
728 0=valid 1=invalid_or_unsupported 2=no_positions_found 3=not_authorised 4=not_supported 99=other
731 1=final 2=theoretical
751 0=successful 1=invalid_party 2=unknown_instrument 3=not_authorised 4=invalid_trade_type 99=other
773 1=status 2=confirmation 3=confirmation_request_rejected
774 1=mismatched_account 2=missing_settlement_instructions 3=unknown_or_missing_IndividualAllocID(467)
774 4=transaction_not_recognised 5=duplicate 6=wrong_instrument 7=wrong_price 8=wrong_commission 9=wrong_settle_date
774 10=wrong_fund_or_client 11=wrong_quantity 12=wrong_fees 13=wrong_tax 14=wrong_party 15=wrong_side
774 16=wrong_net_money 17=wrong_trade_date 18=wrong_settlement_currency 19=wrong_capacity 99=other
794 2=preliminary 3=sell-side_calculated_using_preliminary 4=sell-side_calculated 5=warehouse_recap
794 8=request_to_intermediary 9=accept 10=reject 11=accept_pending 12=complete 14=reverse_pending 15=give-up
794 16=take-up 17=reversal 18=alleged_reversal 19=sub-allocation_give-up
854 0=units 1=contracts 2=units_of_measure_per_time_unit
856 0=submit 1=alleged 2=accept 3=decline 4=addendum 5=no/was 6=cancel 7=locked-in_break 8=defaulted
856 9=invalid_CMTA 10=pended 11=alleged_new 12=alleged_addendum 13=alleged_no/was 14=alleged_cancel
856 15=alleged_break 16=verify 17=dispute
857 0=not_specified 1=explicit_list
891 0=absolute 1=per_unit 2=percentage
939 0=accepted 1=rejected 2=cancelled 3=accepted_with_errors 4=pending_new 5=pending_cancel 6=pending_replace
939 7=terminated 8=pending_verification 9=deemed_verified 10=verified 11=disputed
940 1=received 2=rejected_(not_affirmed) 3=affirmed
1128 0=FIX.2.7 1=FIX.3.0 2=FIX.4.0 3=FIX.4.1 4=FIX.4.2 5=FIX.4.3 6=FIX.4.4 7=FIX.5.0 8=FIX.5.0SP1 9=FIX.5.0SP2
1137 0=FIX.2.7 1=FIX.3.0 2=FIX.4.0 3=FIX.4.1 4=FIX.4.2 5=FIX.4.3 6=FIX.4.4 7=FIX.5.0 8=FIX.5.0SP1 9=FIX.5.0SP2
1194 0=European 1=American 2=Bermudan
"""


def _parse(text: str) -> Mapping[int, Mapping[str, str]]:
    found: dict[int, dict[str, str]] = {}
    for line in text.strip().splitlines():
        tag, *pairs = line.split()
        for code, _, meaning in (pair.partition("=") for pair in pairs):
            found.setdefault(int(tag), {})[code] = meaning.replace("_", " ")
    return MappingProxyType({tag: MappingProxyType(values) for tag, values in found.items()})


VALUES = _parse(_VALUES)
