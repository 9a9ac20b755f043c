# Logistic and linear regressions in base R: references for odds_ratios() and score_regressions().
# Run from semfit/tests/reference: Rscript regressions.R

data <- read.csv("estimators/data_hsmiss.csv")

data$girl <- data$sex - 1
logit <- glm(girl ~ x1 + x4 + ageyr, binomial, data, control = list(epsilon = 1e-14))
rows <- summary(logit)$coefficients
ends <- confint.default(logit)
odds <- data.frame(rhs = sub("(Intercept)", "Intercept", rownames(rows), fixed = TRUE), estimate = rows[, 1],
                   se = rows[, 2], z = rows[, 3], p = rows[, 4], ci_low = ends[, 1], ci_high = ends[, 2],
                   odds_ratio = exp(rows[, 1]), or_ci_low = exp(ends[, 1]), or_ci_high = exp(ends[, 2]),
                   n = nobs(logit), pseudo_r_squared = 1 - logit$deviance / logit$null.deviance)
write.csv(format(odds, digits = 12, trim = TRUE), "regressions_odds.csv", row.names = FALSE, quote = FALSE)

# visual =~ x1 + x2 + x3; speed =~ x7 + x8 + x9; speed ~ visual + ageyr; ageyr ~ visual
score <- function(items) ifelse(2 * rowSums(!is.na(items)) >= ncol(items), rowMeans(items, na.rm = TRUE), NA)
scores <- na.omit(data.frame(visual = score(data[c("x1", "x2", "x3")]), speed = score(data[c("x7", "x8", "x9")]),
                             ageyr = data$ageyr))
scores <- as.data.frame(scale(scores))
speed <- summary(lm(speed ~ visual + ageyr, scores))$coefficients[-1, ]
ageyr <- summary(lm(ageyr ~ visual, scores))$coefficients[-1, , drop = FALSE]
paths <- data.frame(lhs = c("speed", "speed", "ageyr"), rhs = c(rownames(speed), rownames(ageyr)),
                    beta = c(speed[, 1], ageyr[, 1]), beta_se = c(speed[, 2], ageyr[, 2]), n = nrow(scores))
write.csv(format(paths, digits = 12, trim = TRUE), "regressions_scores.csv", row.names = FALSE, quote = FALSE)
writeLines(capture.output(sessionInfo()), "regressions_sessionInfo.txt")
